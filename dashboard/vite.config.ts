// Everything at "/" except the playground, which is a build of its own (vite.playground.config.ts): its editor weighs
// megabytes, and no chunk of it may ever be reachable from index.html.
import { defineConfig } from 'vite';

export default defineConfig({
  base: '/',
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    // The page is served under default-src 'self': nothing may become a data: URL.
    assetsInlineLimit: 0,
    target: 'es2022',
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
});
