// What the pages of queues and the overview ask for.
import { graphql, type ResultOf } from '../graphql';

export const QueueRow = graphql(`
  fragment QueueRow on Queue {
    id
    name
    isPaused
    maxConcurrency
    demand
    slots
    oldestQueuedAt
    emptyAt
    startedPerMinute
    finishedPerMinute
    counts {
      blocked
      scheduled
      queued
      running
      succeeded
      failed
      cancelled
    }
  }
`);

export const QueuePoints = graphql(`
  fragment QueuePoints on QueuePoint {
    at
    enqueued
    succeeded
    failed
    cancelled
    queuedDepth
    p50Wait
    p95Wait
  }
`);

export const Queues = graphql(
  `
    query Queues {
      queues {
        ...QueueRow
      }
    }
  `,
  [QueueRow],
);

/** All queues with their numbers, at most once a second. */
export const QueueStats = graphql(
  `
    subscription QueueStats {
      queueStats(interval: "PT1S") {
        ...QueueRow
      }
    }
  `,
  [QueueRow],
);

export const QueueHistory = graphql(
  `
    query QueueHistory($id: ID!, $step: Duration!, $window: Duration!) {
      node(id: $id) {
        __typename
        ... on Queue {
          id
          history(step: $step, window: $window) {
            ...QueuePoints
          }
        }
      }
    }
  `,
  [QueuePoints],
);

/** Only what is summed over queues, because there may be many. */
export const HistoryOfAll = graphql(`
  query HistoryOfAll($step: Duration!, $window: Duration!) {
    queues {
      id
      history(step: $step, window: $window) {
        at
        enqueued
        succeeded
        failed
        cancelled
        queuedDepth
      }
    }
  }
`);

export const QueuePause = graphql(`
  mutation QueuePause($input: QueuePauseInput!) {
    queuePause(input: $input) {
      userErrors {
        message
      }
    }
  }
`);

export const QueueResume = graphql(`
  mutation QueueResume($input: QueueResumeInput!) {
    queueResume(input: $input) {
      userErrors {
        message
      }
    }
  }
`);

export const QueueUpdate = graphql(`
  mutation QueueUpdate($input: QueueUpdateInput!) {
    queueUpdate(input: $input) {
      queue {
        id
      }
      userErrors {
        path
        message
      }
    }
  }
`);

export type Queue = ResultOf<typeof QueueRow>;
export type QueuePoint = ResultOf<typeof QueuePoints>;
