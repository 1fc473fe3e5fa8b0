// The rules for schema.graphql: graphql-eslint's recommended and Relay sets, with our exceptions.
import graphql from '@graphql-eslint/eslint-plugin';

/** Value types, which have no id. A new type without an id is added here by decision. */
const WITHOUT_ID = [
  'Backoff', 'Cap', 'Choice', 'CommandChoices', 'CommandPreview', 'ComposedCommand', 'ComposedHttp', 'Consumed', 'Consumer', 'Consumption', 'CronPreview', 'Failure', 'HttpSpec',
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
  // nodes and userErrors are lists too, and an edge is never fetched by id.
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
      // The arguments of @include, @deprecated and similar directives come from the library.
      ignoredSelectors: ['DirectiveDefinition > InputValueDefinition'],
    },
  ],
};

/** `schema` is the file's path. The rules need the whole schema. */
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
