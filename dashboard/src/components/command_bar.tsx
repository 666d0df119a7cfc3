/** Type, Enter: the way to everything without a mouse. */

export function CommandBar(_: { isOpen: boolean; onClose: () => void }) {
  return null;
}
