import { createContext } from 'preact'
import { useContext } from 'preact/hooks'
import type { Console } from '../model/console.ts'

export const ConsoleContext = createContext<Console | undefined>(undefined)

export function useConsole(): Console {
  const c = useContext(ConsoleContext)
  if (!c) throw new Error('no console around this component')
  return c
}
