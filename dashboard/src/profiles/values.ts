// A profile as its form holds it, and as the API takes what was changed.
import { capsOf, environmentOf, listOf, rowsOfCaps, rowsOfEnvironment, textOrNull } from '../catalog/convert';
import type { Row } from '../forms/RowsField';
import type { Stored } from '../forms/useEdit';
import type { VariablesOf } from '../graphql';
import type { ProfileOfPage, ProfileUpdate } from './documents';

export interface ProfileValues {
  name: string;
  description: string;
  labels: string;
  environment: Row[];
  serviceIds: string[];
  proxyIds: string[];
  proxySelection: 'FIRST_HEALTHY' | 'LEAST_BUSY' | 'ROUND_ROBIN';
  caps: Row[];
}

export const LABELS: Record<keyof ProfileValues, string> = {
  name: 'Name',
  description: 'Description',
  labels: 'Labels',
  environment: 'Environment',
  serviceIds: 'Services',
  proxyIds: 'Proxies',
  proxySelection: 'Choice of the proxy',
  caps: 'Caps',
};

export const SELECTIONS = [
  ['FIRST_HEALTHY', 'The first that is available'],
  ['LEAST_BUSY', 'The one with the fewest running jobs'],
  ['ROUND_ROBIN', 'Each in turn'],
] as const;

export const valuesOf = (profile: ProfileOfPage): Stored<ProfileValues> => ({
  version: profile.version,
  values: {
    name: profile.name,
    description: profile.description ?? '',
    labels: profile.labels.join(', '),
    environment: rowsOfEnvironment(profile.environment),
    serviceIds: profile.services.map(({ id }) => id),
    proxyIds: profile.proxies.map(({ id }) => id),
    proxySelection: profile.proxySelection,
    caps: rowsOfCaps(profile.caps),
  },
});

type Input = VariablesOf<typeof ProfileUpdate>['input'];

export function inputOf(changes: Partial<ProfileValues>): Omit<Input, 'id'> {
  const { description, labels, environment, caps, ...same } = changes;
  return {
    ...same,
    ...(description !== undefined && { description: textOrNull(description) }),
    ...(labels !== undefined && { labels: listOf(labels) }),
    ...(environment !== undefined && { environment: environmentOf(environment) }),
    ...(caps !== undefined && { caps: capsOf(caps) }),
  };
}
