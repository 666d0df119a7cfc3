/** Who is looking. */

export function AccountMenu() {
  return null;
}
