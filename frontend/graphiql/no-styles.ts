/**
 * In place of react-style-singleton, which writes a style element to hold the page still under a dialog. The policy of the page
 * admits no inline styles, and GraphiQL fills the window: there is nothing to hold still.
 */
export const styleSingleton = () => () => null;
export const styleHookSingleton = () => () => undefined;
export const stylesheetSingleton = () => ({ add: () => undefined, remove: () => undefined });
