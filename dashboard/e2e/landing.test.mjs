import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, openPage } from './browser.mjs';
import { startFixture } from './fixture/server.mjs';

let browser;
let fixture;

before(async () => {
  fixture = await startFixture();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await fixture?.close();
});

test('the landing page renders under a strict policy, loads nothing from other origins, and its links work', async () => {
  const { page, context, record } = await openPage(browser, fixture.origin);
  const answer = await page.goto(fixture.origin);
  assert.match(answer.headers()['content-security-policy'], /^default-src 'self'(;(?!.*unsafe-)|$)/);
  await page.getByRole('heading', { name: 'Callboard' }).waitFor();
  const background = await page.evaluate(() => getComputedStyle(document.body).maxWidth);
  assert.equal(background, '880px', 'the style sheet applies');
  const links = await page.locator('a').evaluateAll((all) => all.map((link) => link.href));
  assert.deepEqual(links.map((link) => new URL(link).pathname), ['/playground', '/healthz', '/readyz', '/metrics']);
  for (const link of links) assert.equal((await fetch(link)).status, 200, link);
  const example = await page.getByLabel('Example request').innerText();
  assert.match(example, new RegExp(`^CALLBOARD_GRAPHQL=${fixture.origin}/graphql$`, 'm'));
  assert.deepEqual(record.foreign, []);
  assert.deepEqual(record.violations, []);
  assert.deepEqual(record.errors, []);
  assert.ok(!record.urls.some((url) => /playground/.test(url)), 'nothing of the playground is loaded');
  await context.close();
});
