// Sizes and ages as people type them, the way the commands read them: 500m, 1.5g; 12h, 7d.

const sizes: Record<string, number> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 }
const ages: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 7 * 86_400_000 }

/** Beyond this a number is not exact any more, and no disk is as large. */
const most = Number.MAX_SAFE_INTEGER

/** readSize is a number of bytes: 1048576, 500k, 20 MB, 1.5g, 2GiB. Undefined where it is none. */
export function readSize(text: string): number | undefined {
  const m = /^(\d+(?:\.\d+)?|\.\d+)\s*([kmgt]?)(?:i?b)?$/i.exec(text.trim())
  const n = m ? Math.floor(Number(m[1]) * sizes[m[2]!.toLowerCase()]!) : NaN
  return n <= most ? n : undefined
}

/** readAge is a number of milliseconds: 90s, 10m, 12h, 7d, 2w; 0 needs no unit. Undefined where it is none. */
export function readAge(text: string): number | undefined {
  const t = text.trim()
  if (/^0+$/.test(t)) return 0
  const m = /^(\d+(?:\.\d+)?|\.\d+)\s*(ms|s|m|h|d|w)$/i.exec(t)
  const n = m ? Math.round(Number(m[1]) * ages[m[2]!.toLowerCase()]!) : NaN
  return n <= most / 1e6 ? n : undefined
}

/** writeSize is a number of bytes as readSize takes it, without losing any. */
export function writeSize(n: number): string {
  const unit = (['t', 'g', 'm', 'k'] as const).find((u) => n > 0 && Number.isInteger((n / sizes[u]!) * 10))
  return unit ? `${n / sizes[unit]!}${unit}` : String(n)
}

/** writeAge is a number of milliseconds as readAge takes it. */
export function writeAge(n: number): string {
  if (n === 0) return '0'
  const unit = (['d', 'h', 'm', 's'] as const).find((u) => n % ages[u]! === 0) ?? 'ms'
  return `${n / ages[unit]!}${unit}`
}

/** ageWords is an age in words: 7 days, 12 hours. */
export function ageWords(n: number): string {
  const [unit, one] = ([['d', 'day'], ['h', 'hour'], ['m', 'minute'], ['s', 'second']] as const).find(([u]) => n >= ages[u]!) ?? ['ms', 'millisecond']
  const many = Math.round((n / ages[unit]!) * 10) / 10
  return `${many} ${one}${many === 1 ? '' : 's'}`
}
