/** anywidget's own classes: the module of a widget comes from the kernel. */

import * as base from "@jupyter-widgets/base";
import make from "anywidget";

export const classes = make(base);
