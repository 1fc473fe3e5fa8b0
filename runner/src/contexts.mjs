/**
 * Finds every context that the script works in: the profile's, those that it makes, and those of
 * browsers that it launches, which get the run's Chromium, sandbox and proxy.
 *
 * A script that makes a context of its own is watched like one that uses the profile's.
 */

/** A page shows one dialog at a time, so that only the latest can be open. */
const MAX_DIALOGS = 20;

/**
 * @typedef {object} Contexts
 * @property {() => import('playwright-core').Page[]} pages every open page, the oldest first
 * @property {() => import('playwright-core').Page | undefined} pageToShow the script's page, or the
 *   newest that it used if it left that one blank
 * @property {() => import('playwright-core').Page | undefined} lastPage the page that the script
 *   worked with last; undefined if it has closed that and has used no other that is open
 * @property {() => Promise<void>} dismissDialogs closes the dialogs that block pages
 */

/**
 * @param {object} parts
 * @param {import('./browser.mjs').OpenedBrowser} parts.browser
 * @param {import('./calls.mjs').Calls} parts.calls
 * @param {object} parts.launchDefaults what a browser that the script launches gets
 * @param {import('./recordings.mjs').Recordings} parts.recordings
 * @param {(context: import('playwright-core').BrowserContext) => void} parts.onContext called once
 *   for each
 * @returns {Contexts}
 */
export function watchContexts({ browser, calls, launchDefaults, recordings, onContext }) {
  /** @type {Set<import('playwright-core').BrowserContext>} */
  const contexts = new Set();
  /** @type {Set<import('playwright-core').Dialog>} */
  const dialogs = new Set();
  /** @param {import('playwright-core').BrowserContext} context */
  const add = (context) => {
    if (contexts.has(context)) return;
    contexts.add(context);
    context.on('close', () => contexts.delete(context));
    // Not with a listener: Playwright dismisses dialogs by itself only if nobody listens.
    const emitter = /** @type {any} */ (context); // an EventEmitter, of which the types show a part
    const emit = emitter.emit.bind(emitter);
    emitter.emit = (/** @type {string} */ event, /** @type {any[]} */ ...parameters) => {
      if (event === 'dialog') {
        dialogs.add(parameters[0]);
        if (dialogs.size > MAX_DIALOGS) dialogs.delete([...dialogs][0]);
      }
      return emit(event, ...parameters);
    };
    onContext(context);
  };
  /** @param {import('playwright-core').Browser} instance */
  const addBrowser = (instance) => {
    instance.contexts().forEach(add);
    instance.on('context', add);
    const close = instance.close.bind(instance);
    instance.close = async (options) => {
      await Promise.all(instance.contexts().map((context) => recordings.beforeClose(context)));
      return close(options);
    };
    const newContext = instance.newContext.bind(instance);
    instance.newContext = async (options) => {
      const context = await newContext({ ...recordings.videoOptions, ...options });
      await recordings.start(context, options?.recordVideo === undefined);
      return context;
    };
  };
  add(browser.context);
  const instance = browser.context.browser();
  if (instance) {
    addBrowser(instance);
    watchLaunches(instance.browserType(), launchDefaults, addBrowser, async (context) => {
      add(context);
      await recordings.start(context, false);
    });
  }

  const pages = () => [...contexts].flatMap((context) => context.pages()).filter((page) => !page.isClosed());
  const isUsed = (/** @type {import('playwright-core').Page} */ page) => page.url() !== 'about:blank' || calls.haveUsed(page);
  const pageToShow = () => {
    const open = pages();
    const { page } = browser;
    // A script that uses contexts of its own leaves the profile's page blank.
    const used = open.filter(isUsed);
    if (open.includes(page) && (used.length === 0 || used.includes(page))) return page;
    return used.at(-1) ?? open.at(-1);
  };
  return {
    pages,
    pageToShow,
    lastPage() {
      const last = calls.lastPage();
      if (!last) return pageToShow();
      const open = pages();
      return open.includes(last) ? last : open.findLast(isUsed);
    },
    async dismissDialogs() {
      for (const context of contexts) context.on('dialog', (dialog) => { dialog.dismiss().catch(() => {}); });
      // Those that the script has answered are refused.
      await Promise.all([...dialogs].map((dialog) => dialog.dismiss().catch(() => {})));
    },
  };
}

/**
 * @param {import('playwright-core').BrowserType} type
 * @param {object} defaults
 * @param {(browser: import('playwright-core').Browser) => void} onBrowser
 * @param {(context: import('playwright-core').BrowserContext) => Promise<void>} onContext
 */
function watchLaunches(type, defaults, onBrowser, onContext) {
  const launch = type.launch.bind(type);
  const launchPersistentContext = type.launchPersistentContext.bind(type);
  /** @param {import('playwright-core').LaunchOptions} [given] */
  const withDefaults = (given) => {
    // What is undefined is not given, as for Playwright. No proxy is no reason to go around the job's.
    const { args = [], ...options } = Object.fromEntries(Object.entries(given ?? {}).filter(([name, value]) => value !== undefined && !(name === 'proxy' && value === null)));
    const { args: flags, executablePath, ...rest } = /** @type {any} */ (defaults);
    // A proxy of the script's own stands, and the switch for direct connections would override it.
    const fitting = options.proxy ? flags.filter((/** @type {string} */ flag) => flag !== '--no-proxy-server') : flags;
    return { ...rest, ...(options.channel ? {} : { executablePath }), ...options, args: [...fitting, ...args] };
  };
  const launchServer = type.launchServer.bind(type);
  type.launchServer = (options) => launchServer(withDefaults(options));
  type.launch = async (options) => {
    const browser = await launch(withDefaults(options));
    onBrowser(browser);
    return browser;
  };
  type.launchPersistentContext = async (directory, options) => {
    const context = await launchPersistentContext(directory, withDefaults(options));
    await onContext(context);
    return context;
  };
  for (const name of /** @type {const} */ (['connect', 'connectOverCDP'])) {
    const connect = /** @type {any} */ (type[name]).bind(type);
    type[name] = async (/** @type {any[]} */ ...parameters) => {
      const browser = await connect(...parameters);
      onBrowser(browser);
      return browser;
    };
  }
}
