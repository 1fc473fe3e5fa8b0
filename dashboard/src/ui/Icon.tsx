// Our icons, drawn on a grid of 16. They take the colour of the text and say nothing by themselves:
// a text stands beside each, or the button around it has a label.

const PATHS = {
  overview: 'M2.5 2.5h4.6v5H2.5zM9 2.5h4.5v3H9zM9 7.6h4.5v5.9H9zM2.5 9.6h4.6v3.9H2.5z',
  queues: 'M2.5 3h11v2.6h-11zM2.5 6.9h11v2.6h-11zM4.5 10.8h7v2.4h-7z',
  workers: 'M4.5 4.5h7v7h-7zM6 2v2.5M10 2v2.5M6 11.5V14M10 11.5V14M2 6h2.5M2 10h2.5M11.5 6H14M11.5 10H14',
  pause: 'M5.5 3.5v9M10.5 3.5v9',
  play: 'M5 3.2 12.5 8 5 12.8V3.2Z',
  jobs: 'M2.5 4h11M2.5 8h11M2.5 12h7',
  compose: 'M2.5 13.5h3l8-8-3-3-8 8v3ZM9 4l3 3',
  commands: 'M2.5 3h11v10h-11zM5 6l2 2-2 2M8.5 10H11',
  profiles: 'M8 8a2.7 2.7 0 1 0 0-5.4A2.7 2.7 0 0 0 8 8ZM2.8 13.6c.6-2.5 2.6-3.8 5.2-3.8s4.6 1.3 5.2 3.8',
  services: 'M3 3h10v4H3zM3 9h10v4H3zM5.5 5h.1M5.5 11h.1',
  proxies: 'M2.5 5h9M9 2.5 11.5 5 9 7.5M13.5 11h-9M7 8.5 4.5 11 7 13.5',
  keys: 'M5.5 13a2.8 2.8 0 1 0 0-5.6 2.8 2.8 0 0 0 0 5.6ZM7.5 8.2 13 2.7M10.5 5.2l2 2',
  audit: 'M3.5 2h9v12h-9zM5.8 5h4.4M5.8 8h4.4M5.8 11h2.4',
  settings: 'M2.5 5h6M12 5h1.5M2.5 11H4M7.5 11h6M10 3.2v3.6M5.8 9.2v3.6',
  playground: 'M5.5 3.5 2 8l3.5 4.5M10.5 3.5 14 8l-3.5 4.5M9 2.5 7 13.5',
  menu: 'M2.5 4h11M2.5 8h11M2.5 12h11',
  search: 'M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9ZM10.5 10.5l3 3',
  close: 'm4 4 8 8M12 4l-8 8',
  filter: 'M2 3.5h12l-4.5 5V13l-3-1.5v-3L2 3.5Z',
  retry: 'M13 8a5 5 0 1 1-1.6-3.7M13 2.5v3h-3',
  stop: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM3.9 3.9l8.2 8.2',
  check: 'm3.5 8.5 3 3 6-7',
  down: 'M8 3v10M4 9l4 4 4-4',
  up: 'M8 13V3M4 7l4-4 4 4',
  copy: 'M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3',
  link: 'M6.5 9.5 9.5 6.5M7 4.5l1.2-1.2a3.2 3.2 0 0 1 4.5 4.5L11.5 9M9 11.5l-1.2 1.2a3.2 3.2 0 0 1-4.5-4.5L4.5 7',
  clock: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM8 4.5V8l2.5 1.5',
  file: 'M4 1.8h5l3.2 3.2v9.2H4zM9 2v3.2h3',
  warning: 'M8 2.2 14.5 13.5h-13L8 2.2ZM8 6.5v3.2M8 11.6v.2',
  star: 'm8 2 1.8 3.8 4.2.5-3.1 2.9.8 4.1L8 11.3l-3.7 2 .8-4.1L2 6.3l4.2-.5L8 2Z',
  out: 'M6.5 2.5H3v11h3.5M10 5l3 3-3 3M13 8H6.5',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg className="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
