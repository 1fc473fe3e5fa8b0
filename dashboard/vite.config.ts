// Builds everything at "/" except the playground, which has its own build
// (vite.playground.config.ts). Its editor weighs megabytes, and no chunk of it may be reachable
// from index.html.
import { defineConfig } from 'vite';

export default defineConfig({
  base: '/',
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    // The page is served under default-src 'self', so nothing may become a data: URL.
    assetsInlineLimit: 0,
    target: 'es2022',
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
});
