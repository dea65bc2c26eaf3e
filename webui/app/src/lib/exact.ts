// JSON read without losing digits: a number that a double does not hold stays as it was written, where the browser can.

interface Exact { rawJSON?(text: string): unknown }

/** exact parses JSON; what does not survive as a number is kept as text that JSON.stringify writes as it was. */
export function exact(text: string): unknown {
  const raw = (JSON as Exact).rawJSON
  return JSON.parse(text, function (this: unknown, _key: string, value: unknown, context?: { source?: string }) {
    if (typeof value !== 'number' || context?.source === undefined || String(value) === context.source || !raw) return value
    return raw(context.source)
  } as (this: unknown, key: string, value: unknown) => unknown)
}
