import { graphql, type ResultOf } from '../graphql';

export const LogLine = graphql(`
  fragment LogLine on LogLine {
    sequence
    attempt
    stream
    text
    at
  }
`);

/** The newest lines, and the first one that is stored. */
export const LogTail = graphql(
  `
    query LogTail($jobId: ID!, $last: Int!) {
      job(id: $jobId) {
        id
        isKeptBack
        start: log(first: 1) {
          nodes {
            sequence
          }
        }
        log(last: $last) {
          nodes {
            ...LogLine
          }
          pageInfo {
            endCursor
          }
        }
      }
    }
  `,
  [LogLine],
);

/** Lines from a number on. */
export const LogPart = graphql(
  `
    query LogPart($jobId: ID!, $from: Int!, $first: Int!) {
      job(id: $jobId) {
        log(fromSequence: $from, first: $first) {
          nodes {
            ...LogLine
          }
        }
      }
    }
  `,
  [LogLine],
);

export const JobLog = graphql(
  `
    subscription JobLog($jobId: ID!, $after: String) {
      jobLog(jobId: $jobId, after: $after) {
        cursor
        isReset
        skipped
        lines {
          ...LogLine
        }
      }
    }
  `,
  [LogLine],
);

export type Line = ResultOf<typeof LogLine>;
