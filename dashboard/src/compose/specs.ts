// The parts of a command as JSON Schemas, so that one form shows them and the input alike. Bounds
// are the server's business; what stands here is what a person has to know.
import type { Json, SchemaObject } from '../form/schema';

const text = (title: string, description?: string): SchemaObject => ({ type: 'string', title, ...(description ? { description } : {}) });
const mode = (title: string, initial: string): SchemaObject => ({
  title,
  default: initial,
  oneOf: [
    { const: 'OFF', title: 'Never' },
    { const: 'ON_FAILURE', title: 'On failure' },
    { const: 'ALWAYS', title: 'Always' },
  ],
});
const tokens: SchemaObject = {
  type: 'array',
  title: 'Tokens',
  description: 'Names of services whose tokens it gets beside those that its texts name. * is all of them.',
  items: text('Service'),
};
const pairs = (title: string, description: string): SchemaObject => ({
  type: 'object',
  title,
  description,
  additionalProperties: { type: 'string', title: 'Value' },
});
const LINE = 'Source of the module. Needed when the line starts with playwright.';

export const SPECS = {
  program: {
    type: 'object',
    required: ['program'],
    properties: {
      program: text('Program', 'An absolute path that the configuration allows.'),
      arguments: { type: 'array', title: 'Arguments', description: 'Templates. Each becomes exactly one argument.', items: { ...text('Argument'), format: 'multiline' } },
      environment: pairs('Environment', 'Templates by name. Secrets are allowed.'),
      stdin: { ...text('Standard input', 'A template. Secrets are allowed.'), format: 'multiline' },
      tokens,
    },
  },
  http: {
    type: 'object',
    required: ['url', 'method'],
    properties: {
      method: { enum: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'], default: 'GET', title: 'Method' },
      url: text('URL', 'A template, as in https://shop.example/orders?q={{ input.q | urlencode }}'),
      headers: pairs('Headers', 'Templates by name. Secrets are allowed.'),
      body: { ...text('Body', 'A template, as in {{ input | tojson }}'), format: 'multiline' },
      expectStatus: { type: 'array', title: 'Statuses that count as success', description: 'Left out: 200 to 299.', items: { type: 'integer', title: 'Status' } },
      redirects: {
        title: 'Redirects',
        default: 'FOLLOW',
        oneOf: [
          { const: 'FOLLOW', title: 'Follow' },
          { const: 'SAME_ORIGIN', title: 'Follow within the same origin' },
          { const: 'NONE', title: 'Do not follow' },
        ],
      },
    },
  },
  playwright: {
    type: 'object',
    required: ['script'],
    properties: {
      script: {
        ...text('Script', 'An ES module. Not a template: the input is passed to it as a value.'),
        format: 'code',
        default: "export default async function ({ page, input }) {\n  await page.goto(input.url);\n  return { title: await page.title() };\n}\n",
      },
      headless: { type: 'boolean', title: 'Without a window', default: true },
      screenshot: mode('Keep a screenshot', 'ON_FAILURE'),
      trace: mode('Keep the trace', 'OFF'),
      video: mode('Keep a video', 'OFF'),
      viewport: {
        title: 'Size of the page',
        description: 'Left out: 1280 × 720. null fills the window.',
        type: ['object', 'null'],
        required: ['width', 'height'],
        properties: { width: { type: 'integer', title: 'Width', default: 1280 }, height: { type: 'integer', title: 'Height', default: 720 } },
      },
      tokens,
    },
  },
  line: {
    type: 'object',
    required: ['line'],
    properties: {
      line: text('Line', 'Words with quotes as in a shell, without pipes, variables or globs.'),
      script: { ...text('Script', LINE), format: 'code' },
    },
  },
} as const satisfies Record<string, SchemaObject>;

export type Kind = keyof typeof SPECS;
export const KINDS = Object.keys(SPECS) as Kind[];
export const KIND_NAMES: Record<Kind, string> = { program: 'Program', http: 'HTTP request', playwright: 'Playwright script', line: 'Command line' };

const duration = (title: string, description: string): SchemaObject => ({ type: 'string', title, description });
const WHEN_REACHED = [
  { const: 'DEFER', title: 'Wait' },
  { const: 'REFUSE', title: 'Refuse' },
];

/** The policy of a command, and what a job may set instead. */
export const POLICY: SchemaObject = {
  type: 'object',
  properties: {
    maxAttempts: { type: 'integer', title: 'Attempts at most', description: '1 to 100.' },
    timeout: duration('Time limit of an attempt', 'As in PT5M, at most P1D.'),
    grace: duration('Time from TERM to KILL', 'As in PT5S, at most PT5M.'),
    expiresAfter: { ...duration('Expires after', 'As in PT1H. null is never.'), type: ['string', 'null'] },
    maxConcurrency: { type: ['integer', 'null'], title: 'Jobs at once at most', description: 'null is no limit.' },
    backoff: {
      type: 'object',
      title: 'Wait between attempts',
      properties: {
        strategy: { enum: ['EXPONENTIAL', 'LINEAR', 'CONSTANT'], title: 'Strategy' },
        initial: duration('First wait', 'As in PT10S.'),
        max: duration('Longest wait', 'As in PT1H.'),
        jitter: { type: 'number', title: 'Jitter', description: '0 to 1.' },
      },
    },
    rateLimits: {
      type: 'array',
      title: 'Rate limits',
      items: {
        type: 'object',
        title: 'Rate limit',
        required: ['limit', 'per'],
        properties: {
          name: text('Name', 'Left out: default.'),
          limit: { type: 'integer', title: 'Starts' },
          per: duration('In', 'As in PT1M.'),
          burst: { type: 'integer', title: 'At once after a pause' },
        },
      },
    },
    caps: {
      type: 'array',
      title: 'Caps',
      items: {
        type: 'object',
        title: 'Cap',
        required: ['most', 'per'],
        properties: { most: { type: 'integer', title: 'Starts at most' }, per: { enum: ['DAY', 'MONTH'], title: 'In each' }, whenReached: { oneOf: WHEN_REACHED, title: 'When it is reached' } },
      },
    },
  },
};

/** The input of a spec from a spec that was read. Fields that the form does not send stay out. */
export function specInputOf(spec: object & { __typename?: string }): { kind: Kind; value: Json } {
  const { __typename: name, ...fields } = spec;
  const kind = name === 'HttpSpec' ? 'http' : name === 'PlaywrightSpec' ? 'playwright' : 'program';
  const isEmpty = (value: unknown) => value === null || (Array.isArray(value) && value.length === 0) || (typeof value === 'object' && Object.keys(value ?? {}).length === 0);
  // A viewport of null fills the window. Elsewhere null and empty are what is left out.
  const sent = Object.entries(fields).filter(([field, value]) => field === 'viewport' || !isEmpty(value));
  return { kind, value: Object.fromEntries(sent) as Json };
}
