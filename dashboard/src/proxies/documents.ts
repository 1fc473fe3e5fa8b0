// What the pages of proxies ask for.
import { graphql, type ResultOf } from '../graphql';

export const ProxyRow = graphql(`
  fragment ProxyRow on Proxy {
    id
    name
    protocol
    address
    version
    hasCredentials
    maxConcurrency
    health {
      status
      checkedAt
      coolingUntil
      exitAddress
      failure
      latency
    }
  }
`);

export const Proxies = graphql(
  `
    query Proxies($search: String, $first: Int!, $after: String) {
      proxies(search: $search, first: $first, after: $after) {
        totalCount
        nodes {
          ...ProxyRow
        }
        pageInfo {
          hasNextPage
          endCursor
        }
      }
    }
  `,
  [ProxyRow],
);

export const ProxyPageQuery = graphql(
  `
    query ProxyPage($id: ID!) {
      proxy(id: $id) {
        ...ProxyRow
        updatedAt
        rateLimits {
          name
          limit
          per
          burst
        }
        usage {
          name
          limit
          remaining
          resetsAt
          source
        }
        profiles(first: 25) {
          nodes {
            id
            name
          }
          pageInfo {
            hasNextPage
          }
        }
      }
    }
  `,
  [ProxyRow],
);

export const ProxyCreate = graphql(`
  mutation ProxyCreate($input: ProxyCreateInput!) {
    proxyCreate(input: $input) {
      proxy {
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

export const ProxyImport = graphql(`
  mutation ProxyImport($input: ProxyImportInput!) {
    proxyImport(input: $input) {
      proxy {
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

export const ProxyUpdate = graphql(`
  mutation ProxyUpdate($input: ProxyUpdateInput!) {
    proxyUpdate(input: $input) {
      proxy {
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

export const ProxyCheck = graphql(`
  mutation ProxyCheck($input: ProxyCheckInput!) {
    proxyCheck(input: $input) {
      proxy {
        id
        health {
          status
        }
      }
      userErrors {
        code
        message
        path
      }
    }
  }
`);

export const ProxyDelete = graphql(`
  mutation ProxyDelete($input: ProxyDeleteInput!) {
    proxyDelete(input: $input) {
      deletedId
      userErrors {
        code
        message
        path
      }
    }
  }
`);

export type ProxyOfRow = ResultOf<typeof ProxyRow>;
export type ProxyOfPage = NonNullable<ResultOf<typeof ProxyPageQuery>['proxy']>;
