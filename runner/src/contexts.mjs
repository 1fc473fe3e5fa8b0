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
 * @property {() => import('playwright-core').Page | undefined} pageToShow the page that shows best
 *   what the script was doing
 * @property {() => Promise<void>} dismissDialogs closes the dialogs that block pages
 */

/**
 * @param {object} parts
 * @param {import('./browser.mjs').OpenedBrowser} parts.browser
 * @param {object} parts.launchDefaults what a browser that the script launches gets
 * @param {(context: import('playwright-core').BrowserContext) => void} parts.onContext called once
 *   for each
 * @returns {Contexts}
 */
export function watchContexts({ browser, launchDefaults, onContext }) {
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
  };
  add(browser.context);
  const instance = browser.context.browser();
  if (instance) {
    addBrowser(instance);
    watchLaunches(instance.browserType(), launchDefaults, addBrowser, add);
  }

  const pages = () => [...contexts].flatMap((context) => context.pages());
  return {
    pages,
    pageToShow() {
      const open = pages().filter((page) => !page.isClosed());
      const { page } = browser;
      // A script that uses contexts of its own leaves the profile's page blank.
      const used = open.filter((other) => other.url() !== 'about:blank');
      if (open.includes(page) && (used.length === 0 || used.includes(page))) return page;
      return used.at(-1) ?? open.at(-1);
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
 * @param {(context: import('playwright-core').BrowserContext) => void} onContext
 */
function watchLaunches(type, defaults, onBrowser, onContext) {
  const launch = type.launch.bind(type);
  const launchPersistentContext = type.launchPersistentContext.bind(type);
  /** @param {import('playwright-core').LaunchOptions} [options] */
  const withDefaults = ({ args = [], ...options } = {}) => {
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
    onContext(context);
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
