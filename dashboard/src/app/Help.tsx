import { Dialog } from '@base-ui/react/dialog';
import { usePages } from './usePages';

const FIRST: [string, string] = ['Ctrl K', 'go to a page, or find a job, a command, a profile or a schedule'];
const KEYS: readonly [string, string][] = [
  ['c', 'compose a job'],
  ['/', 'filter or search'],
  ['j  k', 'next and previous row'],
  ['o', 'open the row'],
  ['x', 'select the row'],
  ['r', 'retry'],
  ['.', 'cancel'],
  ['n', 'new schedule'],
  ['Ctrl Enter', 'run or save what is composed'],
  ['f', 'follow the log'],
  ['n  N', 'next and previous hit in the log'],
  ['Esc', 'close'],
];

export function Help({ isOpen, onOpenChange }: { isOpen: boolean; onOpenChange(isOpen: boolean): void }) {
  const pages = usePages().map(({ letter, name }): [string, string] => [`g ${letter}`, name]);
  return (
    <Dialog.Root open={isOpen} onOpenChange={onOpenChange}>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className="dialog">
          <Dialog.Title className="dialog-title">Keys</Dialog.Title>
          <dl className="keys">
            {[FIRST, ...pages, ...KEYS].map(([keys, what]) => (
              <div key={keys}>
                <dt>
                  <kbd>{keys}</kbd>
                </dt>
                <dd>{what}</dd>
              </div>
            ))}
          </dl>
          <div className="dialog-foot">
            <Dialog.Close className="button">Close</Dialog.Close>
          </div>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
