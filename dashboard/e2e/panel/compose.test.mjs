import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, openPage } from '../browser.mjs';
import { graphql, shell, URL_OF_PAGES } from './api.mjs';
import { assertAccessible, assertClean, signedIn } from './panel.mjs';

const SECRET = `hunter2-${Date.now()}`;
const SCHEMA = {
  type: 'object',
  required: ['name', 'count', 'kind'],
  properties: {
    name: { type: 'string' },
    count: { type: 'integer', maximum: 5 },
    kind: { enum: ['order', 'offer'] },
    note: { type: 'string' },
    discount: { type: ['number', 'null'] },
    tags: { type: 'array', items: { type: 'string' } },
    key: { type: 'string', title: 'Key', writeOnly: true },
    address: { $ref: '#/$defs/address' },
    payment: {
      oneOf: [
        { title: 'Invoice', type: 'object', required: ['days'], properties: { days: { type: 'integer', default: 30 } } },
        { title: 'Card', type: 'object', required: ['number'], properties: { number: { type: 'string', writeOnly: true } } },
      ],
    },
  },
  $defs: { address: { type: 'object', title: 'Address', properties: { city: { type: 'string' } } } },
};

let browser;
let command;
before(async () => {
  command = await shell('e2e-compose', '', {
    inputSchema: SCHEMA,
    spec: { program: { program: '/bin/echo', arguments: ['{{ input.name }} x {{ input.count }}'], environment: { KEY: '{{ input.key | default("none") }}' } } },
  });
  browser = await launch();
});
after(() => browser?.close());

const field = (page, ...path) => page.locator(`[id="field:${path.join('/')}"]`);
const messages = (page, ...path) => page.locator(`[id="field:${path.join('/')}:mistakes"]`);
const jobsOf = async (id) =>
  (await graphql('query ($f: JobFilter) { jobs(filter: $f, first: 50) { nodes { id input labels priority state } } }', { f: { commandIds: [id] } })).jobs.nodes;

/** Records what goes over sockets. */
function frames(page) {
  const seen = [];
  page.on('websocket', (socket) => {
    for (const way of ['framesent', 'framereceived']) socket.on(way, ({ payload }) => seen.push(String(payload)));
  });
  return seen;
}

async function assertNowhere(page, seen) {
  const found = await page.evaluate(() => document.documentElement.outerHTML + JSON.stringify([{ ...localStorage }, { ...sessionStorage }, location.href]));
  assert.ok(!found.includes(SECRET), 'the secret is neither in the page nor in a storage');
  assert.ok(!seen.join().includes(SECRET), 'the secret is in no frame');
}

/** Presses Tab until this field has the focus. */
async function tabTo(page, locator) {
  await locator.waitFor();
  for (let turn = 0; turn < 80; turn++) {
    if (await locator.evaluate((one) => one === document.activeElement)) return;
    await page.keyboard.press('Tab');
  }
  assert.fail('Tab does not reach the field');
}

test('a job is composed by keyboard, and a double click makes one job', async () => {
  const opened = await openPage(browser, URL_OF_PAGES);
  const { page, context, record } = opened;
  const seen = frames(page);
  await page.goto(`${URL_OF_PAGES}/jobs#key=${process.env.CALLBOARD_API_KEY}`);
  await page.getByRole('heading', { name: 'Jobs' }).waitFor();
  await page.keyboard.press('c');
  const select = page.getByLabel('A saved command');
  await select.getByText('e2e-compose').waitFor({ state: 'attached' });
  await tabTo(page, select);
  await page.keyboard.type('e2e-compose');
  await page.waitForURL(new RegExp(`command=${command}`));
  await page.getByText('1 thing to mend').or(page.getByText(/things to mend/)).waitFor();
  assert.equal(await page.locator('.composer-form .mistake').count(), 0, 'nothing is marked before anything is typed');
  await tabTo(page, field(page, 'input', 'name'));
  await page.keyboard.type('Ada');
  await messages(page, 'input', 'count').getByText('This is required.').waitFor();
  await tabTo(page, field(page, 'input', 'count'));
  await page.keyboard.type('1.5');
  await messages(page, 'input', 'count').getByText('Write a whole number.').waitFor();
  await page.keyboard.press('Control+A');
  await page.keyboard.type('9');
  await messages(page, 'input', 'count').getByText(/maximum/).waitFor();
  await page.keyboard.press('Control+A');
  await page.keyboard.type('3');
  await tabTo(page, field(page, 'input', 'kind'));
  await page.keyboard.type('offer');
  await tabTo(page, field(page, 'input', 'key'));
  await page.keyboard.type(SECRET);
  const preview = page.getByTestId('preview');
  await preview.getByText('Ada x 3').waitFor();
  await page.getByText('It composes.').waitFor();
  assert.match(await page.getByRole('region', { name: 'Preview' }).innerText(), /KEY\s+\*\*\*/);
  await assertNowhere(page, seen);
  const query = await page.getByRole('link', { name: 'Show the query' }).getAttribute('href');
  assert.ok(query.includes('%2A%2A%2A') || query.includes('***'), query);
  const before = (await jobsOf(command)).filter(({ input }) => input.name === 'Ada').length;
  const runs = page.getByRole('button', { name: 'Run', exact: true });
  await runs.dblclick();
  await page.waitForURL(/\/jobs\/job_/);
  await page.getByText(/job_[0-9a-z]{26}/).first().waitFor();
  await assertNowhere(page, seen);
  const jobs = await jobsOf(command);
  const mine = jobs.filter(({ id }) => page.url().includes(id));
  assert.equal(mine.length, 1);
  assert.equal(jobs.filter(({ input }) => input.name === 'Ada').length, before + 1, 'one job');
  assert.deepEqual(mine[0].input, { name: 'Ada', count: 3, kind: 'offer', key: '***' });
  assertClean(record);
  await context.close();
});

test('null, an empty text, an empty list and what is left out arrive as they were meant', async () => {
  const { page, context, record } = await signedIn(browser, `/compose?command=${command}`);
  await field(page, 'input', 'name').fill('Bo');
  await field(page, 'input', 'count').fill('1');
  await field(page, 'input', 'kind').selectOption('order');
  await field(page, 'input', 'note').fill('x');
  await field(page, 'input', 'note').fill('');
  await page.getByText('Empty text is sent.').waitFor();
  await page.getByRole('button', { name: 'Send null for discount' }).click();
  await page.getByRole('button', { name: 'Add tags' }).click();
  await page.getByRole('button', { name: 'Remove tags 1' }).click();
  await page.getByRole('button', { name: 'Add Address' }).click();
  await page.getByRole('button', { name: 'Add payment' }).click();
  await page.getByLabel('Kind of payment').selectOption('Card');
  await field(page, 'input', 'payment', 'number').fill(SECRET);
  await page.getByLabel('Labels').fill('e2e, compose');
  await page.getByLabel('Priority').selectOption('9');
  await page.getByLabel(/^Not before \(/).check();
  await page.getByRole('button', { name: 'Run later' }).click();
  await messages(page, 'runAt').getByText('Choose a date and a time.').waitFor();
  await page.getByLabel('Not before', { exact: true }).fill('2099-01-01T10:00');
  await page.keyboard.press('Control+Enter');
  await page.waitForURL(/\/jobs\/job_/);
  const job = (await jobsOf(command)).find(({ id }) => page.url().includes(id));
  assert.deepEqual(job.input, { name: 'Bo', count: 1, kind: 'order', note: '', discount: null, tags: [], address: {}, payment: { number: '***' } });
  assert.deepEqual([job.labels, job.priority, job.state], [['compose', 'e2e'], 9, 'SCHEDULED']);
  assertClean(record);
  await context.close();
});

test('a draft is checked while it is written, and is saved with what was filled in', async () => {
  const name = `e2e draft ${Date.now()}`;
  const { page, context, record } = await signedIn(browser, '/compose');
  await page.getByRole('button', { name: 'Program' }).click();
  await field(page, 'spec', 'program', 'program').fill('/bin/echo');
  await page.getByRole('button', { name: 'Add Arguments' }).click();
  await field(page, 'spec', 'program', 'arguments', '0').fill('{{ input.q');
  await messages(page, 'spec', 'program', 'arguments', '0').getByText(/line 1, column 1/).waitFor();
  await field(page, 'spec', 'program', 'arguments', '0').fill('say {{ input.q }}');
  await page.getByLabel('Input schema').fill('{"type": "object"');
  await messages(page, 'inputSchema').getByText(/This is not JSON/).waitFor();
  await page.getByLabel('Input schema').fill('{"type": "object", "required": ["q"], "properties": {"q": {"type": "string"}}}');
  await field(page, 'input', 'q').fill('hello');
  await page.getByTestId('preview').getByText('say hello').waitFor();
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await messages(page, 'name').getByText('Give the command a name first.').waitFor();
  await field(page, 'name').fill('e2e-compose');
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await messages(page, 'name').waitFor();
  await field(page, 'name').fill(name);
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await page.waitForURL(/command=command_/);
  await page.getByTestId('preview').getByText('say hello').waitFor();
  assert.equal(await field(page, 'input', 'q').inputValue(), 'hello');
  assertClean(record);
  await context.close();
});

test('the form is accessible in every kind, and fits a narrow screen', async () => {
  const { page, context, record } = await signedIn(browser, '/compose');
  await page.getByText('Choose a saved command to run it').waitFor();
  await assertAccessible(page);
  for (const draft of ['http', 'playwright', 'line']) {
    await page.goto(`${URL_OF_PAGES}/compose?draft=${draft}`);
    await page.getByText('Preview', { exact: true }).waitFor();
    await page.getByText('Policy', { exact: true }).click();
    await assertAccessible(page);
  }
  await page.goto(`${URL_OF_PAGES}/compose?command=${command}`);
  await field(page, 'input', 'name').fill('Cy');
  await page.getByRole('button', { name: 'Add payment' }).click();
  await page.getByRole('button', { name: 'Add tags' }).click();
  await messages(page, 'input', 'count').waitFor();
  await page.setViewportSize({ width: 390, height: 800 });
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth && document.querySelector('.main').scrollWidth <= innerWidth), true);
  await assertAccessible(page);
  // What is wrong leads to its field.
  await page.getByRole('region', { name: 'Preview' }).getByRole('button').first().click();
  assert.equal(await page.evaluate(() => document.activeElement.closest('.composer-form') !== null), true);
  assertClean(record);
  await context.close();
});

test('a VIEWER may preview, and sees nothing to run or save', async () => {
  const create = 'mutation ($input: ApiKeyCreateInput!) { apiKeyCreate(input: $input) { key apiKey { id } } }';
  const { apiKeyCreate } = await graphql(create, { input: { name: `e2e composer ${Date.now()}`, role: 'VIEWER' } });
  const { page, context, record } = await openPage(browser, URL_OF_PAGES);
  await page.goto(`${URL_OF_PAGES}/compose?command=${command}#key=${apiKeyCreate.key}`);
  await field(page, 'input', 'name').fill('Di');
  await field(page, 'input', 'count').fill('2');
  await field(page, 'input', 'kind').selectOption('order');
  await page.getByTestId('preview').getByText('Di x 2').waitFor();
  assert.equal(await page.getByRole('button', { name: /^(Run|Save)/ }).count(), 0);
  await page.keyboard.press('Control+Enter');
  assert.match(page.url(), /\/compose/);
  await graphql('mutation ($input: ApiKeyRevokeInput!) { apiKeyRevoke(input: $input) { apiKey { id } } }', { input: { id: apiKeyCreate.apiKey.id } });
  assertClean(record);
  await context.close();
});

test('when the server does not answer, the form and its preview stay', async () => {
  const { page, context } = await signedIn(browser, `/compose?command=${command}`);
  await field(page, 'input', 'name').fill('Ed');
  await field(page, 'input', 'count').fill('2');
  await field(page, 'input', 'kind').selectOption('order');
  await page.getByTestId('preview').getByText('Ed x 2').waitFor();
  await page.route('**/graphql', (route) => route.abort());
  await field(page, 'input', 'count').fill('4');
  await page.getByRole('alert').filter({ hasText: 'did not answer' }).waitFor();
  await page.getByTestId('preview').getByText('Ed x 2').waitFor();
  await page.unroute('**/graphql');
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByTestId('preview').getByText('Ed x 4').waitFor();
  await context.close();
});
