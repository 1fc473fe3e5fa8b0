import { graphql, type ResultOf } from '../graphql';

export const Commands = graphql(`
  query Commands($search: String, $first: Int!, $after: String) {
    commands(search: $search, first: $first, after: $after) {
      totalCount
      nodes {
        id
        name
        kind
        description
        queue
        isPrivate
        updatedAt
        profile {
          id
          name
        }
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
`);

export const CommandPageQuery = graphql(`
  query CommandPage($id: ID!) {
    command(id: $id) {
      id
      name
      kind
      description
      inputSchema
      isPrivate
      queue
      version
      createdAt
      updatedAt
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
      policy {
        maxAttempts
        timeout
        grace
        expiresAfter
        maxConcurrency
        backoff {
          strategy
          initial
          max
          jitter
        }
        rateLimits {
          name
          limit
          per
          burst
        }
        caps {
          most
          per
          whenReached
        }
      }
      usage {
        name
        limit
        remaining
        resetsAt
      }
      consumption {
        today {
          attempts
          busy
        }
        thisMonth {
          attempts
          busy
        }
      }
      spec {
        __typename
        ... on HttpSpec {
          method
          url
          headers
          body
          expectStatus
          redirects
        }
        ... on ProgramSpec {
          program
          arguments
          environment
          stdin
          tokens
        }
        ... on PlaywrightSpec {
          script
          headless
          screenshot
          trace
          video
          viewport
          tokens
        }
      }
    }
  }
`);

export const CommandUpdate = graphql(`
  mutation CommandUpdate($input: CommandUpdateInput!) {
    commandUpdate(input: $input) {
      command {
        id
        version
      }
      userErrors {
        code
        path
        message
      }
    }
  }
`);

export const CommandDelete = graphql(`
  mutation CommandDelete($input: CommandDeleteInput!) {
    commandDelete(input: $input) {
      deletedId
      userErrors {
        code
        message
        path
      }
    }
  }
`);

export type CommandOfPage = NonNullable<ResultOf<typeof CommandPageQuery>['command']>;
export type CommandRow = ResultOf<typeof Commands>['commands']['nodes'][number];
