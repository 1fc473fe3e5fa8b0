import { defineConfig } from 'vite';

export default defineConfig({
  root: 'playground',
  base: '/playground/',
  publicDir: false,
  build: {
    outDir: '../dist/playground',
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    // Monaco is one big piece, so a warning about its size is useless.
    chunkSizeWarningLimit: 5000,
    rolldownOptions: {
      // "use client" in dependencies has no meaning here.
      onLog: (level, log, report) => log.code === 'MODULE_LEVEL_DIRECTIVE' || report(level, log),
    },
  },
  worker: { format: 'es' },
  server: { proxy: { '/graphql': { target: process.env.CALLBOARD_URL ?? 'http://127.0.0.1:8080', ws: true } } },
});
