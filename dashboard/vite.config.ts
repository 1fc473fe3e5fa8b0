// Builds everything at "/" except the playground, which has its own build
// (vite.playground.config.ts). Its editor weighs megabytes, and no chunk of it may be reachable
// from index.html.
//
// `npm run dev` and `npm run preview` pass on to the API what the API serves. Its address is
// CALLBOARD_API, by default that of script/server, and the port of the pages CALLBOARD_PANEL_PORT.
import { readFileSync } from 'node:fs';
import react from '@vitejs/plugin-react';
import type { Plugin, ProxyOptions } from 'vite';
import { defineConfig } from 'vitest/config';

const target = process.env.CALLBOARD_API ?? 'http://127.0.0.1:4000';
const port = Number(process.env.CALLBOARD_PANEL_PORT ?? 5173);
const policies = JSON.parse(readFileSync(new URL('csp.json', import.meta.url), 'utf8')) as Record<string, string>;

// The Host stays that of the page, because a session's cookie counts only for its own address.
const proxy: Record<string, ProxyOptions> = {
  '/graphql': { target, ws: true },
  '/artifacts': { target },
  '/healthz': { target },
  '/readyz': { target },
  '/metrics': { target },
};

/** Previews are served under the policies of the API, so that a violation shows at once. */
const underPolicies: Plugin = {
  name: 'callboard-policies',
  configurePreviewServer({ middlewares }) {
    middlewares.use((request, response, next) => {
      const path = request.url ?? '/';
      const isPlayground = /^\/playground(?:[/?#]|$)/.test(path);
      response.setHeader('content-security-policy', (isPlayground ? policies.playground : policies.page) ?? '');
      // The API serves the playground without a slash at the end.
      if (/^\/playground(?:[?#]|$)/.test(path)) request.url = path.replace('/playground', '/playground/');
      next();
    });
  },
};

export default defineConfig({
  base: '/',
  plugins: [react(), underPolicies],
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    // The page is served under default-src 'self', so nothing may become a data: URL.
    assetsInlineLimit: 0,
    target: 'es2022',
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: { host: '127.0.0.1', port, strictPort: true, proxy },
  preview: {
    host: '127.0.0.1',
    port,
    strictPort: true,
    proxy,
  },
  test: { include: ['src/**/*.test.ts', 'src/**/*.test.tsx', 'shared/**/*.test.ts'] },
});
