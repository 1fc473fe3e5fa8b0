import { graphql } from '../graphql';

/** What the palette finds: jobs, commands, profiles and schedules by what was typed. */
export const Find = graphql(`
  query Find($text: String!) {
    jobs(first: 5, filter: { search: $text }) {
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
    commands(first: 5, search: $text) {
      nodes {
        id
        name
      }
    }
    profiles(first: 5, search: $text) {
      nodes {
        id
        name
      }
    }
    schedules(first: 5, search: $text) {
      nodes {
        id
        name
      }
    }
  }
`);

/** What a pasted id belongs to. */
export const FindNode = graphql(`
  query FindNode($id: ID!) {
    node(id: $id) {
      __typename
      id
      ... on Job {
        state
        command {
          name
        }
      }
      ... on Attempt {
        number
      }
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
      ... on Schedule {
        name
      }
      ... on Queue {
        name
      }
      ... on Worker {
        hostname
      }
    }
  }
`);
