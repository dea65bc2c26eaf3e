// Actions on replays and comparisons.

import type { Action } from '../model/actions.ts'
import type { Console } from '../model/console.ts'

const sendable = (app: Console) => app.selected.value !== undefined && app.current.value !== undefined && app.current.value.kind !== 'tunnel'

export const replayActions: Action[] = [
  {
    id: 'diff', label: 'Diff with the marked exchange', group: 'Exchange', keys: ['d'], pages: ['traffic'], when: (app) => app.selected.value !== undefined,
    needs: 'choose an exchange first', run: (app) => void app.diffWithMarked(),
  },
  {
    id: 'matrix', label: 'Replay matrix: identities × routes …', group: 'Exchange', keys: ['X'], pages: ['traffic'], when: sendable,
    needs: 'choose an exchange with a request first', run: (app) => { app.matrix.value = app.current.value },
  },
]
