export default async ({ page, input, profile, services, log, progress, artifact }) => {
  const secrets = [...Object.values(profile.secrets), ...Object.values(services).map(({ token }) => token),
    input.password, input.deep.pin, input.list[1], String(input.number)];
  const all = secrets.flatMap(spell);
  for (const text of all) { log(text); log.error(`x ${text}`); console.log(text); console.warn({ text }); }
  for (const secret of secrets) { log(secret.slice(0, 12)); log(secret.slice(12)); }
  await page.goto(`${input.site}/page?q=${encodeURIComponent(secrets[0])}`);
  await page.evaluate((texts) => { for (const text of texts) console.log(text, 'x'.repeat(9000), text); }, all.slice(0, 60));
  progress(0.5, `${'x'.repeat(470)} ${secrets[0]}`);
  await artifact(`${secrets[0]}.txt`.replaceAll('/', '-'), all.join('\n'));
  await artifact(`name ${secrets[2]}`, all.join('\n'), `text/plain; x=${secrets[2].replace(/[^\x20-\x7e]/g, '')}`);
  page.evaluate((text) => { setTimeout(() => { throw new Error(text); }); }, secrets[0]).catch(() => {});
  await page.waitForTimeout(50);
  if (input.fails) {
    const error = new Error(`${'x'.repeat(8100)} ${secrets[0]} ${all[7]}`);
    error.details = all.slice(0, 20);
    throw error;
  }
  return { all, names: Object.fromEntries(all.map((text) => [text, 1])), number: input.number };
};
