// A real Chromium that can reach only this machine, and pages with a record of what they did.
import { chromium } from 'playwright-core';

/** Generous, because the machine may be busy. A wait ends as soon as its condition holds. */
export const PATIENCE = Number(process.env.PATIENCE ?? 60_000);

export function launch() {
  return chromium.launch({
    executablePath: process.env.CALLBOARD_CHROMIUM || '/usr/bin/chromium',
    // Chromium's sandbox does not run as root.
    chromiumSandbox: process.getuid?.() !== 0,
    args: ['--disable-gpu', '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1'],
    timeout: PATIENCE,
  });
}

/** Opens a page in its own context and records foreign requests, CSP violations and errors. */
export async function openPage(browser, origin, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1360, height: 820 }, ...options });
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  const record = { urls: [], posts: [], sockets: [], foreign: [], violations: [], errors: [] };
  const note = (url) => {
    record.urls.push(url);
    const { protocol, host } = new URL(url);
    if (!['data:', 'blob:', 'about:'].includes(protocol) && host !== new URL(origin).host) record.foreign.push(url);
  };
  context.on('request', (request) => {
    note(request.url());
    if (request.method() === 'POST') record.posts.push(request.postData() ?? '');
  });
  page.on('websocket', (socket) => {
    record.sockets.push(socket.url());
    note(socket.url());
  });
  page.on('console', (message) => {
    if (/content security policy/i.test(message.text())) record.violations.push(message.text());
    else if (message.type() === 'error') record.errors.push(message.text());
  });
  page.on('pageerror', (error) => record.errors.push(String(error)));
  await page.exposeFunction('reportViolation', (text) => record.violations.push(text));
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      window.reportViolation(`${event.violatedDirective} ${event.blockedURI}`);
    });
  });
  return { page, context, record };
}
