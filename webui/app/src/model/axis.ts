// The waterfall's shared time axis. Idle stretches are drawn short, so that a pause of an hour does not squeeze the
// requests before and after it into dots.

export interface Span {
  start: number
  end: number
}

export interface Axis {
  /** at maps a moment to a share of the width, 0 to 1; it never decreases. */
  at(t: number): number
  /** busy is how many milliseconds the axis shows at full scale. */
  busy: number
}

/** axis lays out spans: busy time to scale, each idle stretch no longer than a sixteenth of the busy time. */
export function axis(spans: Span[]): Axis {
  const sorted = spans.filter((s) => s.end >= s.start).sort((a, b) => a.start - b.start)
  if (sorted.length === 0) return { at: () => 0, busy: 0 }
  const merged: Span[] = []
  for (const s of sorted) {
    const last = merged[merged.length - 1]
    if (last && s.start <= last.end) last.end = Math.max(last.end, s.end)
    else merged.push({ ...s })
  }
  const busy = merged.reduce((sum, s) => sum + s.end - s.start, 0)
  const pause = Math.max(busy / 16, 1)
  // knots: moments and their places; in between the axis is linear.
  const times: number[] = []
  const places: number[] = []
  let place = 0
  let before: Span | undefined
  for (const s of merged) {
    if (before) place += Math.min(s.start - before.end, pause)
    times.push(s.start)
    places.push(place)
    place += s.end - s.start
    times.push(s.end)
    places.push(place)
    before = s
  }
  const total = place || 1
  return {
    busy,
    at(t) {
      if (t <= times[0]!) return 0
      if (t >= times[times.length - 1]!) return places[places.length - 1]! / total
      let lo = 0
      let hi = times.length - 1
      while (hi - lo > 1) {
        const mid = (lo + hi) >> 1
        if (times[mid]! <= t) lo = mid
        else hi = mid
      }
      const width = times[hi]! - times[lo]!
      const share = width > 0 ? (t - times[lo]!) / width : 0
      return (places[lo]! + share * (places[hi]! - places[lo]!)) / total
    },
  }
}
