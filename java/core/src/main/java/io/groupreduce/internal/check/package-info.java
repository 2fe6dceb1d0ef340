/** Checks of what comes in. The public API runs them once; what lies behind trusts its input. */
package io.groupreduce.internal.check;
