// What the pages of services ask for.
import { graphql, type ResultOf } from '../graphql';

export const ServiceCard = graphql(`
  fragment ServiceCard on Service {
    id
    name
    baseUrl
    version
    maxConcurrency
    suspendedReason
    suspendedUntil
    token {
      isSet
      hint
      expiresAt
      updatedAt
    }
    rateLimits {
      name
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
`);

export const Services = graphql(
  `
    query Services($search: String, $first: Int!, $after: String) {
      services(search: $search, first: $first, after: $after) {
        totalCount
        nodes {
          ...ServiceCard
        }
        pageInfo {
          hasNextPage
          endCursor
        }
      }
    }
  `,
  [ServiceCard],
);

export const ServicePageQuery = graphql(
  `
    query ServicePage($id: ID!) {
      service(id: $id) {
        ...ServiceCard
        settings
        tokenHosts
        updatedAt
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
        consumers(first: 10) {
          command {
            id
            name
          }
          profile {
            id
            name
          }
          consumption {
            thisMonth {
              attempts
            }
          }
        }
      }
    }
  `,
  [ServiceCard],
);

export const ServiceCreate = graphql(`
  mutation ServiceCreate($input: ServiceCreateInput!) {
    serviceCreate(input: $input) {
      service {
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

export const ServiceUpdate = graphql(`
  mutation ServiceUpdate($input: ServiceUpdateInput!) {
    serviceUpdate(input: $input) {
      service {
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

export const ServiceTokenRefresh = graphql(`
  mutation ServiceTokenRefresh($input: ServiceTokenRefreshInput!) {
    serviceTokenRefresh(input: $input) {
      service {
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

export const ServiceResume = graphql(`
  mutation ServiceResume($input: ServiceResumeInput!) {
    serviceResume(input: $input) {
      service {
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

export const ServiceDelete = graphql(`
  mutation ServiceDelete($input: ServiceDeleteInput!) {
    serviceDelete(input: $input) {
      deletedId
      userErrors {
        code
        message
        path
      }
    }
  }
`);

export type ServiceOfCard = ResultOf<typeof ServiceCard>;
export type ServiceOfPage = NonNullable<ResultOf<typeof ServicePageQuery>['service']>;
