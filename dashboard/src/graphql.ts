// Documents that are marked with `graphql` get the types of the schema. tools/schema.mjs checks
// each of them when the dashboard is built.
import { initGraphQLTada } from 'gql.tada';
import type { introspection } from './graphql-env';

export const graphql = initGraphQLTada<{
  introspection: introspection;
  disableMasking: true;
  scalars: { DateTime: string; Duration: string; BigInt: string; URL: string; JSON: unknown; ID: string };
}>();

export type { ResultOf, VariablesOf } from 'gql.tada';
export type JobState = ReturnType<typeof graphql.scalar<'JobState'>>;
