// Where the focus goes, and what the keyboard is like.

export function grid(): HTMLElement | null {
  return document.getElementById('exchanges')
}

/** focusFilter goes into the filter box, once the page that has it is drawn. */
export function focusFilter(): void {
  setTimeout(() => document.querySelector<HTMLInputElement>('#filter')?.select())
}

export function isMac(): boolean {
  return /mac|iphone|ipad/i.test(navigator.platform)
}
