// What the pages of profiles ask for.
import { graphql, type ResultOf } from '../graphql';

export const ProfileCard = graphql(`
  fragment ProfileCard on Profile {
    id
    name
    description
    labels
    version
    proxySelection
    heldBy {
      id
      state
      startedAt
      command {
        id
        name
      }
      proxy {
        id
        name
      }
    }
    proxies {
      id
      name
      health {
        status
        coolingUntil
        latency
      }
    }
    services {
      id
      name
    }
    usage {
      name
      limit
      remaining
      resetsAt
      source
    }
    secrets {
      name
      isSet
      hint
      expiresAt
      updatedAt
    }
  }
`);

export const Profiles = graphql(
  `
    query Profiles($search: String, $first: Int!, $after: String) {
      profiles(search: $search, first: $first, after: $after) {
        totalCount
        nodes {
          ...ProfileCard
        }
        pageInfo {
          hasNextPage
          endCursor
        }
      }
    }
  `,
  [ProfileCard],
);

export const ProfilePageQuery = graphql(
  `
    query ProfilePage($id: ID!) {
      profile(id: $id) {
        ...ProfileCard
        chromeProfilePath
        environment
        createdAt
        updatedAt
        caps {
          most
          per
          whenReached
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
        jobs(first: 10) {
          nodes {
            id
            state
            createdAt
            command {
              id
              name
            }
          }
        }
      }
    }
  `,
  [ProfileCard],
);

/** What a profile can be made of. */
export const ProfileParts = graphql(`
  query ProfileParts {
    services(first: 100) {
      nodes {
        id
        name
      }
    }
    proxies(first: 100) {
      nodes {
        id
        name
      }
    }
  }
`);

export const ProfileCreate = graphql(`
  mutation ProfileCreate($input: ProfileCreateInput!) {
    profileCreate(input: $input) {
      profile {
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

export const ProfileUpdate = graphql(`
  mutation ProfileUpdate($input: ProfileUpdateInput!) {
    profileUpdate(input: $input) {
      profile {
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

export const ProfileDelete = graphql(`
  mutation ProfileDelete($input: ProfileDeleteInput!) {
    profileDelete(input: $input) {
      deletedId
      userErrors {
        code
        message
        path
      }
    }
  }
`);

export type CardOf = ResultOf<typeof ProfileCard>;
export type ProfileOfPage = NonNullable<ResultOf<typeof ProfilePageQuery>['profile']>;
