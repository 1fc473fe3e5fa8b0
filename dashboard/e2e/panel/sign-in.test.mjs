import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, openPage } from '../browser.mjs';
import { KEY, URL_OF_PAGES } from './api.mjs';
import { assertAccessible, assertClean, assertNoKey, signedIn } from './panel.mjs';

let browser;
before(async () => (browser = await launch()));
after(() => browser?.close());

test('signing in returns to the page that was asked for, and keeps no key', async () => {
  const { page, context, record } = await openPage(browser, URL_OF_PAGES);
  await page.goto(`${URL_OF_PAGES}/jobs?state=FAILED&state=CANCELLED`);
  await page.getByLabel('API key', { exact: true }).waitFor();
  await assertAccessible(page);
  await page.getByLabel('API key', { exact: true }).fill(KEY);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { name: 'Jobs' }).waitFor();
  assert.equal(new URL(page.url()).search, '?state=FAILED&state=CANCELLED');
  await assertNoKey(page);
  await page.getByText('Live', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('API key', { exact: true }).waitFor();
  assert.equal((await context.cookies()).filter(({ name }) => /callboard/.test(name)).length, 0, 'the cookie is gone');
  await page.goto(`${URL_OF_PAGES}/jobs`);
  await page.getByLabel('API key', { exact: true }).waitFor();
  assertClean(record);
  await context.close();
});

test('a wrong key is refused with a reason', async () => {
  const { page, context, record } = await openPage(browser, URL_OF_PAGES);
  await page.goto(`${URL_OF_PAGES}/sign-in`);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('Enter an API key first.').waitFor();
  await page.getByLabel('API key', { exact: true }).fill(`cb_${'x'.repeat(48)}`);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('alert').filter({ hasText: /key/i }).waitFor();
  assertClean(record);
  await context.close();
});

test('a key in the fragment signs in and leaves the address', async () => {
  const { page, context, record } = await signedIn(browser, '/jobs');
  await page.getByRole('table', { name: 'Jobs' }).or(page.getByText('There are no jobs yet')).waitFor();
  assert.ok(!page.url().includes('key='));
  await assertNoKey(page);
  assertClean(record);
  await context.close();
});

test('signing out in one tab ends the others', async () => {
  const { page, context } = await signedIn(browser, '/jobs');
  const other = await context.newPage();
  await other.goto(`${URL_OF_PAGES}/settings`);
  await other.getByRole('button', { name: 'Sign out' }).click();
  await page.getByText('You signed out in another tab.').waitFor();
  await context.close();
});
