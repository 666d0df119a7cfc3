/** What keys are called on the machine that looks on. */

export function isMac(): boolean {
  return /mac|iphone|ipad/i.test(navigator.platform);
}

/** `⌘K` on a Mac, `Ctrl K` elsewhere. */
export const withModifier = (key: string) => (isMac() ? `⌘${key}` : `Ctrl ${key}`);
