// Uses GraphiQL as a person would. Monaco draws only the visible lines, with non-breaking spaces.

const QUERY = '.graphiql-query-editor .view-lines';
const ANSWER = '.result-window .view-lines';

/** Waits for the editors and the schema. Before that, GraphiQL ignores its run button. */
export async function isReady(page) {
  await page.locator(`${QUERY} .view-line`).first().waitFor();
  await page.locator(ANSWER).waitFor();
  await page.locator('[aria-label^="Re-fetch GraphQL schema"]:not([disabled])').waitFor();
}

export async function status(page, text) {
  await page.locator('.bar .status').getByText(text, { exact: true }).waitFor();
}

export async function openTab(page, name) {
  // The tab itself is named after its buttons, and the open one has another to close it.
  await page.getByRole('tablist').getByRole('button', { name, exact: true }).click();
  await page.locator(QUERY).getByText(new RegExp(`(query|mutation|subscription)\\s${name}\\b`)).waitFor();
}

/** Waits until the run button is not a stop button, and presses it. */
export async function run(page) {
  await page.locator('.graphiql-execute-button[aria-label^="Execute"]').click();
}

export async function answerOf(page, text) {
  await page.locator(ANSWER).getByText(new RegExp(text.replace(/ /g, '\\s'))).first().waitFor();
}

/** The text that the result shows. */
export async function shownResult(page) {
  return (await page.locator(ANSWER).innerText()).replace(/\u00a0/g, ' ').trim();
}

/** Replaces the variables or headers editor's text. */
export async function setText(page, tool, text) {
  await page.locator('.graphiql-editor-tools').getByRole('button', { name: tool }).click();
  await paste(page, page.locator('.graphiql-editor-tool .graphiql-editor:not(.hidden) .monaco-editor').first(), text);
}

/** Replaces the operation. */
export async function setQuery(page, text) {
  await paste(page, page.locator('.graphiql-query-editor .monaco-editor').first(), text);
}

/** Replaces an editor's text by pasting. Typing would close brackets. */
async function paste(page, editor, text) {
  await editor.locator('.view-lines').click();
  await page.keyboard.press('ControlOrMeta+A');
  await page.evaluate((pasted) => {
    const clipboardData = new DataTransfer();
    clipboardData.setData('text/plain', pasted);
    document.activeElement.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }));
  }, text);
  const start = text.slice(0, 12).replace(/[^\w]+/g, '.*');
  await editor.locator('.view-lines').getByText(new RegExp(start)).first().waitFor();
}

/** Returns the messages of the stream panel, oldest first. */
export async function messages(page) {
  const show = page.getByLabel('Subscription', { exact: true }).getByRole('button', { name: 'Show all' });
  if (await show.isVisible()) await show.click();
  const texts = await page.locator('.stream-messages code').allTextContents();
  return texts.reverse().map((text) => JSON.parse(text));
}
