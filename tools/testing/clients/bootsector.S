/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The smallest guest that proves a disk. The firmware loads it from the first
 * disk, and drives the disks: it reads SECTORS sectors at SOURCE of the first
 * one, changes each word, writes them at TARGET of the last one (the same, if
 * there is but one), reads that back and compares.
 *
 * It says how far it is on a debug console at port 0xe9: "r" before it reads,
 * "w" before it writes, "v" before it reads back, "." when all is well and "!"
 * when not. Then, by the byte "mode", it ends by way of isa-debug-exit, stays, or
 * begins again. When QEMU wants a device back, it lets it go, and stays.
 *
 * SECTORS, SOURCE, TARGET, CHANGE and the statuses GOOD and BAD are given by
 * the assembler's --defsym.
 */
	.code16
	.set	CONSOLE, 0xe9
	.set	EXIT, 0xf4
	.set	HOTPLUG_WANTED, 0xae04		/* of ACPI, in QEMU's machine "pc" */
	.set	HOTPLUG_EJECT, 0xae08
	.set	HOTPLUG_BUS, 0xae10
	.set	NUMBER_OF_DISKS, 0x475		/* in the BIOS data area */
	.set	FIRST_DISK, 0x80
	.set	READ, 0x42
	.set	WRITE, 0x43
	.set	WORDS, SECTORS * 256
	.set	BUFFER, 0x1000			/* segments */
	.set	READ_BACK, 0x2000

	.globl	_start
_start:
	ljmp	$0, $begin
begin:
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$_start, %sp
	sti

again:
	cld
	movb	$'r', %al
	outb	%al, $CONSOLE
	movb	$FIRST_DISK, %dl
	movb	$READ, %ah
	movw	$source, %si
	int	$0x13
	jc	bad

	pushw	$BUFFER
	popw	%ds
	xorw	%si, %si
	movw	$WORDS, %cx
change:
	xorw	$CHANGE, (%si)
	addw	$2, %si
	loop	change
	pushw	$0
	popw	%ds

	movb	$'w', %al
	outb	%al, $CONSOLE
	movb	$FIRST_DISK - 1, %dl
	addb	NUMBER_OF_DISKS, %dl
	movb	%dl, last_disk
	movw	$WRITE << 8, %ax
	movw	$target, %si
	int	$0x13
	jc	bad

	movb	$'v', %al
	outb	%al, $CONSOLE
	movb	last_disk, %dl
	movb	$READ, %ah
	movw	$check, %si
	int	$0x13
	jc	bad

	cld
	pushw	$BUFFER
	popw	%ds
	pushw	$READ_BACK
	popw	%es
	xorw	%si, %si
	xorw	%di, %di
	movw	$WORDS, %cx
	repe cmpsw
	pushw	$0
	popw	%ds
	pushw	$0
	popw	%es
	jne	bad

	movb	$'.', %al
	outb	%al, $CONSOLE
	cmpb	$'e', mode
	je	end
	call	unplug
	jnz	stay
	cmpb	$'l', mode
	je	again
stay:
	hlt				/* until the timer's next tick */
	call	unplug
	jmp	stay
end:
	movb	$GOOD, %al
	outb	%al, $EXIT
	jmp	stay

	/* Let go of a device that QEMU wants back; not zero if there was one */
unplug:
	xorl	%eax, %eax
	movw	$HOTPLUG_BUS, %dx
	outl	%eax, %dx
	movw	$HOTPLUG_WANTED, %dx
	inl	%dx, %eax
	testl	%eax, %eax
	jz	nothing
	movw	$HOTPLUG_EJECT, %dx
	outl	%eax, %dx
nothing:
	ret

bad:
	xorw	%ax, %ax
	movw	%ax, %ds
	movb	$'!', %al
	outb	%al, $CONSOLE
	cmpb	$'e', mode
	jne	stay
	movb	$BAD, %al
	outb	%al, $EXIT
	jmp	stay

last_disk:
	.byte	0

	/* Packets of the firmware's disk calls */
	.balign	4
source:
	.byte	16, 0
	.word	SECTORS, 0, BUFFER
	.quad	SOURCE
target:
	.byte	16, 0
	.word	SECTORS, 0, BUFFER
	.quad	TARGET
check:
	.byte	16, 0
	.word	SECTORS, 0, READ_BACK
	.quad	TARGET

	.org	440			/* where other boot sectors have a signature */
mode:
	.byte	'e'			/* end; 's': stay; 'l': loop */
	.org	510
	.word	0xaa55
