// A service as its form holds it, and as the API takes what was changed.
import { capsOf, limitsOf, listOf, numberOf, rowsOfCaps, rowsOfLimits, textOrNull } from '../catalog/convert';
import type { Row } from '../forms/RowsField';
import type { Stored } from '../forms/useEdit';
import type { VariablesOf } from '../graphql';
import type { ServiceOfPage, ServiceUpdate } from './documents';

export interface ServiceValues {
  name: string;
  baseUrl: string;
  tokenHosts: string;
  maxConcurrency: string;
  rateLimits: Row[];
  caps: Row[];
  /** JSON. */
  settings: string;
}

export const LABELS: Record<keyof ServiceValues, string> = {
  name: 'Name',
  baseUrl: 'Base URL',
  tokenHosts: 'Further hosts of the token',
  maxConcurrency: 'Jobs at once',
  rateLimits: 'Rate limits',
  caps: 'Caps',
  settings: 'Settings',
};

export const valuesOf = (service: ServiceOfPage): Stored<ServiceValues> => ({
  version: service.version,
  values: {
    name: service.name,
    baseUrl: service.baseUrl ?? '',
    tokenHosts: service.tokenHosts.join(', '),
    maxConcurrency: service.maxConcurrency === null ? '' : String(service.maxConcurrency),
    rateLimits: rowsOfLimits(service.rateLimits),
    caps: rowsOfCaps(service.caps),
    settings: JSON.stringify(service.settings, null, 2),
  },
});

export const isJson = (text: string): boolean => {
  try {
    JSON.parse(text || '{}');
    return true;
  } catch {
    return false;
  }
};

type Input = VariablesOf<typeof ServiceUpdate>['input'];

export function inputOf(changes: Partial<ServiceValues>): Omit<Input, 'id'> {
  const { name, baseUrl, tokenHosts, maxConcurrency, rateLimits, caps, settings } = changes;
  return {
    ...(name !== undefined && { name }),
    ...(baseUrl !== undefined && { baseUrl: textOrNull(baseUrl) }),
    ...(tokenHosts !== undefined && { tokenHosts: listOf(tokenHosts) }),
    ...(maxConcurrency !== undefined && { maxConcurrency: numberOf(maxConcurrency) }),
    ...(rateLimits !== undefined && { rateLimits: limitsOf(rateLimits) }),
    ...(caps !== undefined && { caps: capsOf(caps) }),
    ...(settings !== undefined && { settings: JSON.parse(settings || '{}') as unknown }),
  };
}
