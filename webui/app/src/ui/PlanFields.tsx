// How often something is sent, how many at once, and with what pause.

import { mostAtOnce, mostTimes, type Plan } from '../model/batch.ts'

export function PlanFields({ plan, onChange }: { plan: Plan; onChange: (p: Plan) => void }) {
  const number = (text: string) => (text.trim() === '' ? Number.NaN : Number(text))
  return (
    <fieldset class="plan">
      <legend>How often</legend>
      <div class="plan-line">
        <label>Times <input type="number" min={1} max={mostTimes} step={1} value={Number.isNaN(plan.times) ? '' : plan.times} onInput={(e) => onChange({ ...plan, times: number(e.currentTarget.value) })} /></label>
        <label>At once <input type="number" min={1} max={mostAtOnce} step={1} disabled={plan.times === 1} value={Number.isNaN(plan.concurrency) ? '' : plan.concurrency} onInput={(e) => onChange({ ...plan, concurrency: number(e.currentTarget.value) })} /></label>
        <label>Pause, ms <input type="number" min={0} step={10} disabled={plan.times === 1} value={Number.isNaN(plan.pause) ? '' : plan.pause} onInput={(e) => onChange({ ...plan, pause: number(e.currentTarget.value) })} /></label>
      </div>
    </fieldset>
  )
}
