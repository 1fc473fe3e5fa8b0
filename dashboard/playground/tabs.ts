// The tabs that a newcomer finds. GraphiQL uses them only when the browser has none of its own.
import { NEWEST_JOB, OWN_COMMAND } from './placeholders';

const COMMANDS = `# Callboard, from the first command to a live log.
# Ctrl+Enter runs, Ctrl+Space completes.
# The book on the left opens the documentation.
#
# 1. What can run? A command is a saved,
#    parameterised piece of work.
query Commands {
  viewer { name role }
  commands(first: 25) {
    nodes {
      id
      name
      kind
      description
      queue
      inputSchema
      policy { maxAttempts timeout }
    }
    pageInfo { hasNextPage endCursor }
  }
}
`;

const ENQUEUE = `# 2. Enqueue it. The response comes after the commit,
#    and from then on this job cannot get lost.
# The command's id is in the variables below.
# The next tabs follow the newest job, which is then
# this one. To follow another, paste its id.
mutation Enqueue($input: JobEnqueueInput!) {
  jobEnqueue(input: $input) {
    job {
      id
      state
      version
      waiting { reason explanation until }
      composed { display }
    }
    wasDuplicate
    userErrors { code message path }
  }
}
`;

const WATCH = `# 3. Watch one job: a snapshot, then every change in
#    order of version, until the job has ended.
# After a broken connection the playground resumes from
# the last cursor, so nothing is lost or repeated.
subscription WatchJob($jobId: ID!, $after: String) {
  jobEvents(jobId: $jobId, after: $after) {
    cursor
    kind
    at
    message
    attempt
    state
    version
  }
}
`;

const LOG = `# 4. Follow its log from the first line,
#    while it runs or later.
subscription FollowLog($jobId: ID!, $after: String) {
  jobLog(jobId: $jobId, after: $after) {
    cursor
    isReset
    skipped
    lines {
      sequence
      attempt
      stream
      text
      at
    }
  }
}
`;

const ALL = `# 5. All jobs at once, as a dashboard shows them: jobs
#    that enter, change in or leave the filter.
# Start it, then enqueue in a second window.
subscription WatchJobs($filter: JobFilter, $after: String) {
  jobsChanged(filter: $filter, after: $after) {
    cursor
    isReset
    changes {
      id
      state
      version
      isInFilter
      job { command { name } queue priority progress { fraction message } }
    }
  }
}
`;

const pretty = (value: unknown) => JSON.stringify(value, null, 2);
const JOB = pretty({ jobId: NEWEST_JOB });

export function defaultTabs(commandId: string | null) {
  const input = { commandId: commandId ?? OWN_COMMAND, labels: ['playground'] };
  return [
    { query: COMMANDS },
    { query: ENQUEUE, variables: pretty({ input }) },
    { query: WATCH, variables: JOB },
    { query: LOG, variables: JOB },
    { query: ALL, variables: pretty({ filter: { labels: ['playground'] } }) },
  ];
}
