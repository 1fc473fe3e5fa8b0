// A signed-in page of the dashboard, and what must hold for every page.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { openPage } from '../browser.mjs';
import { KEY, URL_OF_PAGES } from './api.mjs';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/** Opens a page of the dashboard as somebody who has signed in. */
export async function signedIn(browser, path, options) {
  const opened = await openPage(browser, URL_OF_PAGES, options);
  await opened.page.goto(`${URL_OF_PAGES}/settings#key=${encodeURIComponent(KEY)}`);
  await opened.page.getByRole('heading', { name: 'Settings' }).waitFor();
  await opened.page.goto(URL_OF_PAGES + path);
  return opened;
}

/** Nothing was loaded from elsewhere, no policy was violated, and nothing failed. */
export function assertClean({ foreign, violations, errors }) {
  assert.deepEqual(foreign, []);
  assert.deepEqual(violations, []);
  assert.deepEqual(errors, []);
}

/** Neither storage has the key, or anything that begins as keys do. */
export async function assertNoKey(page) {
  const stored = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
  assert.ok(!stored.includes(KEY), 'the key is in no storage');
  assert.ok(!/cb_|callboard=/.test(stored), stored);
}

/** axe finds nothing in either theme. */
export async function assertAccessible(page) {
  await page.evaluate(AXE);
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    const found = await page.evaluate(async (tags) => {
      const { violations } = await window.axe.run(document, { runOnly: tags });
      return violations.flatMap(({ id, nodes }) => nodes.slice(0, 3).map((node) => `${id}: ${node.html.slice(0, 160)} ${node.failureSummary ?? ''}`));
    }, TAGS);
    assert.deepEqual(found, [], colorScheme);
  }
}

/** Waits until a text is there, and returns it. */
export async function textOf(locator, pattern) {
  await locator.filter({ hasText: pattern }).first().waitFor();
  return locator.first().innerText();
}
