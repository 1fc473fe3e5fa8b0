/**
 * The smallest script with a visible result: opens a page, reads its title, keeps a screenshot.
 * @param {import('../src/script-api.mjs').ScriptApi} given
 */
export default async ({ page, input, log, step, artifact }) => {
  const url = input.url ?? 'data:text/html,<title>Hello</title><h1>Hello from Callboard</h1>';
  await step('open', () => page.goto(url));
  const title = await page.title();
  log('the title is', title);
  await artifact.screenshot('hello.png');
  return { title };
};
