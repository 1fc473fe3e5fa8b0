// The rules that schema.graphql is held to: graphql-eslint's recommended and Relay sets, with our exceptions.
import graphql from '@graphql-eslint/eslint-plugin';

/** Values, not things: they have no id of their own. A new type without an id is put here by decision, not by accident. */
const WITHOUT_ID = [
  'Backoff', 'Cap', 'CommandPreview', 'ComposedCommand', 'ComposedHttp', 'Consumed', 'Consumer', 'Consumption', 'Failure', 'HttpSpec',
  'JobChanges', 'JobCounts', 'JobTemplate', 'LimitUsage', 'LogBatch', 'LogLine', 'PageInfo', 'PlaywrightSpec', 'Policy', 'ProgramSpec', 'Progress',
  'ProxyHealth', 'ProxyRoute', 'QueuePoint', 'RateLimit', 'Secret', 'UserError', 'Viewer', 'Waiting',
];

const rules = {
  ...graphql.configs['flat/schema-recommended'].rules,
  ...graphql.configs['flat/schema-relay'].rules,
  '@graphql-eslint/strict-id-in-types': [
    'error',
    { exceptions: { types: WITHOUT_ID, suffixes: ['Connection', 'Edge', 'Payload', 'Event', 'Error'] } },
  ],
  // nodes and userErrors are lists too, and an edge is nothing to ask for by id.
  '@graphql-eslint/relay-edge-types': ['error', { withEdgeSuffix: true, shouldImplementNode: false, listTypeCanWrapOnlyEdgeType: false }],
  // Small lists (a profile's services, a job's events) page forward only.
  '@graphql-eslint/relay-arguments': ['error', { includeBoth: false }],
  '@graphql-eslint/input-name': ['error', { checkInputType: true, caseSensitiveInputType: false }],
  '@graphql-eslint/require-description': [
    'error',
    {
      types: true,
      rootField: true,
      FieldDefinition: true,
      InputValueDefinition: true,
      EnumValueDefinition: true,
      DirectiveDefinition: true,
      // The arguments of @include, @deprecated and the like are the library's.
      ignoredSelectors: ['DirectiveDefinition > InputValueDefinition'],
    },
  ],
};

/** `schema`: the file's path; the rules look at the whole schema, not only at the line. */
export function config(schema) {
  return [
    {
      files: ['**/*.graphql'],
      plugins: { '@graphql-eslint': graphql },
      languageOptions: { parser: graphql.parser, parserOptions: { graphQLConfig: { schema } } },
      rules,
    },
  ];
}
