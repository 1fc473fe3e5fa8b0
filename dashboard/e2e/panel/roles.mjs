// A page of somebody whose role may only look on.
import { openPage } from '../browser.mjs';
import { graphql, URL_OF_PAGES } from './api.mjs';

export async function asViewer(browser, path) {
  const create = 'mutation ($input: ApiKeyCreateInput!) { apiKeyCreate(input: $input) { key apiKey { id } } }';
  const { apiKeyCreate } = await graphql(create, { input: { name: `e2e viewer ${Date.now()}`, role: 'VIEWER' } });
  const opened = await openPage(browser, URL_OF_PAGES);
  await opened.page.goto(`${URL_OF_PAGES}${path}#key=${apiKeyCreate.key}`);
  await opened.page.getByText('VIEWER').waitFor();
  const revoke = 'mutation ($input: ApiKeyRevokeInput!) { apiKeyRevoke(input: $input) { apiKey { id } } }';
  return { ...opened, end: () => graphql(revoke, { input: { id: apiKeyCreate.apiKey.id } }) };
}
