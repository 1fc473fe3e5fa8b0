// What a job's page asks for: its header with the attempts, and each tab for itself.
import { graphql, type ResultOf } from '../graphql';

export const JobPageQuery = graphql(`
  query JobPage($id: ID!) {
    job(id: $id) {
      id
      state
      version
      kind
      queue
      priority
      labels
      createdAt
      createdBy
      runAt
      startedAt
      finishedAt
      attemptCount
      isKeptBack
      idempotencyKey
      fairnessKey
      scheduledFor
      policy {
        maxAttempts
        timeout
        expiresAfter
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
      services {
        id
        name
      }
      schedule {
        id
        name
      }
      waiting {
        reason
        explanation
        until
        position
        blocker {
          __typename
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
          ... on Queue {
            name
          }
        }
      }
      progress {
        fraction
        message
      }
      failure {
        code
        message
        isRetryable
      }
      attempts(last: 100) {
        nodes {
          id
          number
          queuedAt
          startedAt
          finishedAt
          outcome
          exitCode
          signal
          cpuTime
          peakMemoryBytes
          proxy {
            id
            name
          }
          worker {
            id
            hostname
          }
          failure {
            code
            message
          }
        }
        pageInfo {
          hasPreviousPage
        }
      }
    }
  }
`);

/** Says that the job has changed. */
export const JobEvents = graphql(`
  subscription JobEvents($jobId: ID!, $after: String) {
    jobEvents(jobId: $jobId, after: $after) {
      cursor
      kind
      at
      attempt
      actor
      message
      state
      version
    }
  }
`);

export const JobResult = graphql(`
  query JobResult($id: ID!) {
    job(id: $id) {
      input
      result
    }
  }
`);

export const JobFiles = graphql(`
  query JobFiles($id: ID!) {
    job(id: $id) {
      artifacts {
        id
        name
        contentType
        sizeBytes
        attempt
        createdAt
        mayHoldSecrets
        url
      }
    }
  }
`);

export const JobComposed = graphql(`
  query JobComposed($id: ID!) {
    job(id: $id) {
      composed {
        display
        kind
        program
        arguments
        environment
        http {
          method
          url
          headers
          body
        }
      }
    }
  }
`);

export const JobCancel = graphql(`
  mutation JobCancel($input: JobCancelInput!) {
    jobCancel(input: $input) {
      job {
        id
      }
      userErrors {
        code
        message
        path
      }
    }
  }
`);

export const JobRetry = graphql(`
  mutation JobRetry($input: JobRetryInput!) {
    jobRetry(input: $input) {
      job {
        id
      }
      userErrors {
        message
      }
    }
  }
`);

export type JobOfPage = NonNullable<ResultOf<typeof JobPageQuery>['job']>;
export type Attempt = JobOfPage['attempts']['nodes'][number];
export type JobEvent = ResultOf<typeof JobEvents>['jobEvents'];
export type Artifact = NonNullable<ResultOf<typeof JobFiles>['job']>['artifacts'][number];
