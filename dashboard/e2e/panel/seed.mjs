// Fills an API with a few hundred jobs in several states, to look at by hand.
// Usage: CALLBOARD_URL=... CALLBOARD_API_KEY=... node e2e/panel/seed.mjs
import { COLOURS, enqueue, enqueueMany, NOISE, shell } from './api.mjs';

const tick = await shell('tick', 'for i in $(seq 1 600); do echo "tick $i"; sleep 1; done', { policy: { maxConcurrency: 2 } });
const quick = await shell('quick', 'echo done');
const broken = await shell('import-orders', 'echo reading; echo "no such file: orders.csv" >&2; exit 3', {
  policy: { maxAttempts: 3, backoff: { initial: 'PT1S', max: 'PT2S' } },
});
const patient = await shell('nightly-report', 'exit 1', { policy: { maxAttempts: 5, backoff: { initial: 'PT1H', max: 'PT1H' } } });
const noise = await shell('noise', NOISE);
const colours = await shell('colours', COLOURS);
await enqueueMany(quick, 200, { labels: ['quick', 'seed'] });
await enqueueMany(broken, 12, { labels: ['orders', 'shop:berlin'] });
await enqueueMany(patient, 3);
await enqueueMany(tick, 5, { labels: ['seed'] });
await enqueueMany(quick, 20, { runAt: new Date(Date.now() + 3_600_000).toISOString(), labels: ['later'] });
const ids = { noise: await enqueue(noise), colours: await enqueue(colours), tick: await enqueue(tick, { priority: 9 }) };
await enqueue(quick, { dependsOn: [ids.tick] });
console.log(JSON.stringify(ids, null, 2));
