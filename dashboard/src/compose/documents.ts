import { graphql, type ResultOf } from '../graphql';

/** What a command or a job names: a list to choose from, by a part of the name. */
export const Pickable = graphql(`
  query Pickable($search: String, $commands: Boolean!, $profiles: Boolean!, $proxies: Boolean!, $services: Boolean!) {
    commands(first: 100, search: $search) @include(if: $commands) {
      nodes {
        id
        name
      }
      pageInfo {
        hasNextPage
      }
    }
    profiles(first: 100, search: $search) @include(if: $profiles) {
      nodes {
        id
        name
      }
      pageInfo {
        hasNextPage
      }
    }
    proxies(first: 100, search: $search) @include(if: $proxies) {
      nodes {
        id
        name
      }
      pageInfo {
        hasNextPage
      }
    }
    services(first: 100, search: $search) @include(if: $services) {
      nodes {
        id
        name
      }
      pageInfo {
        hasNextPage
      }
    }
  }
`);

export const PickedName = graphql(`
  query PickedName($id: ID!) {
    node(id: $id) {
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
    }
  }
`);

export const ServiceHealth = graphql(`
  fragment ServiceHealth on Service {
    id
    name
    suspendedUntil
    suspendedReason
    usage {
      name
      limit
      remaining
      resetsAt
    }
  }
`);

export const ProxyHealth = graphql(`
  fragment ProxyHealth on Proxy {
    id
    name
    health {
      status
      latency
      coolingUntil
      exitAddress
      failure
    }
  }
`);

export const ComposeCommand = graphql(
  `
    query ComposeCommand($id: ID!) {
      command(id: $id) {
        id
        name
        kind
        description
        inputSchema
        queue
        profile {
          id
          name
        }
        proxy {
          ...ProxyHealth
        }
        services {
          ...ServiceHealth
        }
      }
    }
  `,
  [ServiceHealth, ProxyHealth],
);

export const ComposeProfile = graphql(
  `
    query ComposeProfile($id: ID!) {
      profile(id: $id) {
        id
        name
        heldBy {
          id
        }
        services {
          ...ServiceHealth
        }
        proxies {
          ...ProxyHealth
        }
      }
    }
  `,
  [ServiceHealth, ProxyHealth],
);

export const ComposeNodes = graphql(
  `
    query ComposeNodes($ids: [ID!]!) {
      nodes(ids: $ids) {
        __typename
        ...ServiceHealth
        ...ProxyHealth
      }
    }
  `,
  [ServiceHealth, ProxyHealth],
);

export const QueueNames = graphql(`
  query QueueNames {
    queues {
      id
      name
    }
  }
`);

export const Preview = graphql(`
  query Preview($input: CommandPreviewInput!) {
    commandPreview(input: $input) {
      composed {
        kind
        display
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
      userErrors {
        code
        path
        message
      }
    }
  }
`);

export const JobEnqueue = graphql(`
  mutation JobEnqueue($input: JobEnqueueInput!) {
    jobEnqueue(input: $input) {
      wasDuplicate
      job {
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

export const CommandCreate = graphql(`
  mutation CommandCreate($input: CommandCreateInput!) {
    commandCreate(input: $input) {
      command {
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

export type ServiceOf = ResultOf<typeof ServiceHealth>;
export type ProxyOf = ResultOf<typeof ProxyHealth>;
export type CommandOf = NonNullable<ResultOf<typeof ComposeCommand>['command']>;
export type Composed = NonNullable<ResultOf<typeof Preview>['commandPreview']['composed']>;
