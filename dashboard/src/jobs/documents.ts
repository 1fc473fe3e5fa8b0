// What the page of jobs asks for. A field more of a row is one line in JobRow.
import { graphql, type ResultOf, type VariablesOf } from '../graphql';

export const JobRow = graphql(`
  fragment JobRow on Job {
    id
    state
    version
    createdAt
    startedAt
    finishedAt
    queue
    priority
    labels
    attemptCount
    policy {
      maxAttempts
    }
    command {
      id
      name
    }
    profile {
      id
      name
    }
    proxy {
      id
      name
    }
    waiting {
      reason
      explanation
      until
    }
    progress {
      fraction
      message
    }
    failure {
      code
      message
    }
  }
`);

export const Jobs = graphql(
  `
    query Jobs($filter: JobFilter, $orderBy: JobOrder, $first: Int!, $after: String) {
      jobs(filter: $filter, orderBy: $orderBy, first: $first, after: $after) {
        countAtLeast
        nodes {
          ...JobRow
        }
        pageInfo {
          hasNextPage
          endCursor
        }
      }
    }
  `,
  [JobRow],
);

export const JobsById = graphql(
  `
    query JobsById($ids: [ID!]!) {
      nodes(ids: $ids) {
        __typename
        ...JobRow
      }
    }
  `,
  [JobRow],
);

export const JobsChanged = graphql(`
  subscription JobsChanged($filter: JobFilter, $after: String) {
    jobsChanged(filter: $filter, after: $after) {
      cursor
      isReset
      changes {
        id
        version
        isInFilter
      }
    }
  }
`);

/** Names of what the filters name by id. */
export const Names = graphql(`
  query Names($ids: [ID!]!) {
    nodes(ids: $ids) {
      id
      ... on Command {
        name
      }
      ... on Profile {
        name
      }
      ... on Proxy {
        name
      }
      ... on Service {
        name
      }
      ... on Schedule {
        name
      }
    }
  }
`);

/** What a filter may be set to, by the beginning of its name. */
export const Choices = graphql(`
  query Choices(
    $search: String!
    $command: Boolean!
    $profile: Boolean!
    $proxy: Boolean!
    $service: Boolean!
    $schedule: Boolean!
    $queue: Boolean!
  ) {
    command: commands(first: 20, search: $search) @include(if: $command) {
      nodes {
        id
        name
      }
    }
    profile: profiles(first: 20, search: $search) @include(if: $profile) {
      nodes {
        id
        name
      }
    }
    proxy: proxies(first: 20, search: $search) @include(if: $proxy) {
      nodes {
        id
        name
      }
    }
    service: services(first: 20, search: $search) @include(if: $service) {
      nodes {
        id
        name
      }
    }
    schedule: schedules(first: 20, search: $search) @include(if: $schedule) {
      nodes {
        id
        name
      }
    }
    queue: queues @include(if: $queue) {
      id
      name
    }
  }
`);

export const JobsCancel = graphql(`
  mutation JobsCancel($input: JobsCancelInput!) {
    jobsCancel(input: $input) {
      affectedCount
      skippedCount
      userErrors {
        message
      }
    }
  }
`);

export const JobsRetry = graphql(`
  mutation JobsRetry($input: JobsRetryInput!) {
    jobsRetry(input: $input) {
      affectedCount
      skippedCount
      userErrors {
        message
      }
    }
  }
`);

export type Row = ResultOf<typeof JobRow>;
export type JobFilter = NonNullable<VariablesOf<typeof Jobs>['filter']>;
export type JobOrder = NonNullable<VariablesOf<typeof Jobs>['orderBy']>;
