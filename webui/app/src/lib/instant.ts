/** instant writes a time; undefined for one that no calendar has. */
export function instant(seconds: number, nanos: number): string | undefined {
  if (Math.abs(seconds) > 8.64e12 || nanos < 0 || nanos > 999_999_999) return undefined
  const fraction = nanos === 0 ? '' : '.' + String(nanos).padStart(9, '0').replace(/0+$/, '')
  return new Date(seconds * 1000).toISOString().replace('.000Z', fraction + 'Z')
}
