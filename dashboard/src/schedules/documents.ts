// What the page of schedules asks for.
import { graphql, type ResultOf, type VariablesOf } from '../graphql';

export const ScheduleRow = graphql(`
  fragment ScheduleRow on Schedule {
    id
    name
    cron
    timezone
    isPaused
    overlap
    catchUp
    nextRunAt
    lastRunAt
    lastFailure
    version
    job {
      queue
      priority
      command {
        id
        name
      }
      profile {
        id
        name
      }
    }
  }
`);

export const Schedules = graphql(
  `
    query Schedules($search: String, $count: Int!) {
      schedules(first: 100, search: $search) {
        totalCount
        pageInfo {
          hasNextPage
        }
        nodes {
          ...ScheduleRow
          upcoming(count: $count)
        }
      }
    }
  `,
  [ScheduleRow],
);

export const ScheduleToEdit = graphql(
  `
    query ScheduleToEdit($id: ID!) {
      schedule(id: $id) {
        ...ScheduleRow
      }
    }
  `,
  [ScheduleRow],
);

/** The newest job of a schedule. */
export const LastJob = graphql(`
  query LastJob($scheduleId: ID!) {
    jobs(first: 1, filter: { scheduleIds: [$scheduleId] }) {
      nodes {
        id
        state
        finishedAt
      }
    }
  }
`);

export const CommandChoices = graphql(`
  query CommandChoices($search: String!) {
    commands(first: 20, search: $search) {
      nodes {
        id
        name
      }
    }
  }
`);

export const CommandByName = graphql(`
  query CommandByName($name: String!) {
    command(name: $name) {
      id
    }
  }
`);

export const ScheduleCreate = graphql(`
  mutation ScheduleCreate($input: ScheduleCreateInput!) {
    scheduleCreate(input: $input) {
      schedule {
        id
      }
      userErrors {
        code
        path
        message
      }
    }
  }
`);

export const ScheduleUpdate = graphql(`
  mutation ScheduleUpdate($input: ScheduleUpdateInput!) {
    scheduleUpdate(input: $input) {
      schedule {
        id
      }
      userErrors {
        code
        path
        message
      }
    }
  }
`);

export type Schedule = ResultOf<typeof Schedules>['schedules']['nodes'][number];
export type ScheduleStored = ResultOf<typeof ScheduleRow>;
export type Overlap = ScheduleStored['overlap'];
export type CreateInput = VariablesOf<typeof ScheduleCreate>['input'];
export type UpdateInput = VariablesOf<typeof ScheduleUpdate>['input'];
