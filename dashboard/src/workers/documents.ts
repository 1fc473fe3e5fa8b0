// What the page of workers and the overview ask for.
import { graphql, type ResultOf } from '../graphql';

export const WorkerRow = graphql(`
  fragment WorkerRow on Worker {
    id
    hostname
    processId
    status
    concurrency
    running
    queues
    kinds
    softwareVersion
    startedAt
    heartbeatAt
  }
`);

export const Workers = graphql(
  `
    query Workers {
      workers {
        ...WorkerRow
      }
    }
  `,
  [WorkerRow],
);

export const WorkersChanged = graphql(
  `
    subscription WorkersChanged {
      workersChanged {
        ...WorkerRow
      }
    }
  `,
  [WorkerRow],
);

export const WorkerDrain = graphql(`
  mutation WorkerDrain($input: WorkerDrainInput!) {
    workerDrain(input: $input) {
      worker {
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

export type Worker = ResultOf<typeof WorkerRow>;
