// What the browser remembers for this page. One that keeps nothing refuses its storage: then nothing is remembered.

/** recall reads what was kept under a name, as read makes it of what stands there; read sees undefined where nothing usable does. */
export function recall<T>(name: string, read: (kept: unknown) => T): T {
  let kept: unknown
  try {
    kept = JSON.parse(localStorage.getItem(`eaves.${name}`) ?? 'null') ?? undefined
  } catch {
    kept = undefined
  }
  return read(kept)
}

export function remember(name: string, value: unknown): void {
  try {
    localStorage.setItem(`eaves.${name}`, JSON.stringify(value))
  } catch {
    // As above.
  }
}
