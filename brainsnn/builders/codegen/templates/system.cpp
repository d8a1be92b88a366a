{# What a compiled program asks of the operating system; memory.cpp has what it asks for its arrays. #}
#include <cerrno>
#include <cstdlib>
#if defined(_WIN32)
#define NOMINMAX
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#include <thread>
#elif defined(__linux__) && !{{is_portable()|int}}
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>
#else
#include <chrono>
#include <thread>
#include <unistd.h>
#endif

// Whether an error says that the disk is full, or a user's share of it.
bool disk_is_full(int error)
{
#if defined(EDQUOT)
    if (error == EDQUOT)
        return true;
#endif
    return error == ENOSPC;
}

// Ends this program when the process ends that has started it; where the system does not do that, a thread looks every second.
void end_with(const char* process)
{
    if (process == NULL)
        return;
    const long parent = atol(process);
#if defined(_WIN32)
    const HANDLE handle = OpenProcess(SYNCHRONIZE, FALSE, (DWORD)parent);
    if (handle == NULL)
        _Exit(1);
    std::thread([handle] { WaitForSingleObject(handle, INFINITE); _Exit(1); }).detach();
#elif defined(__linux__) && !{{is_portable()|int}}
    // Also with its thread, which waits.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
#else
    std::thread([parent] {
        while (getppid() == parent)
            std::this_thread::sleep_for(std::chrono::seconds(1));
        _Exit(1);
    }).detach();
#endif
#if !defined(_WIN32)
    if (getppid() != parent)  // it has ended before
        _Exit(1);
#endif
}
{{"\n"}}
